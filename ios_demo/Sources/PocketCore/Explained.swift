/// An error that says in one sentence what happened and what to do about it.
public protocol Explained: Error {
    var sentence: String { get }
}

extension ModelFailure: Explained {}

/// The sentence of any error.
public func sentence(of error: any Error) -> String {
    (error as? any Explained)?.sentence ?? "The work stopped: \(error). Try again."
}
