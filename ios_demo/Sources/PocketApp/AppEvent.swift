import PocketCore

/// All that can happen to the app, in the order in which it happens.
public enum AppEvent: Equatable, Sendable {
    // The user
    case picked(Photo.Identifier, Photo.Origin)
    case enhance
    case strength(Double)
    case removesPlace(Bool)
    case save
    case share
    case shareEnded
    case cancelled
    case modelChosen(ModelChoice)
    case measure(BenchmarkRequest)
    case measurementCancelled

    // Answers; each names the work that it is the answer to
    case loaded(Job, Picture)
    case loadFailed(Job, String)
    case originalSaved(Job)
    case originalFailed(Job, String)
    case phase(Job, ModelPhase)
    case progressed(Job, share: Double)
    case ended(Job, Outcome)
    case encoded(Job, EncodedFile)
    case encodeFailed(Job, String)
    case saved(Job)
    case saveFailed(Job, String)

    // iOS
    case background
    case foreground
    case expired(Job)

    /// How work of the engine ended. Every piece ends exactly once, also when it was told to stop.
    public enum Outcome: Equatable, Sendable {
        case opened(ModelPhase)
        case previewed(Picture)
        case enhanced(Picture, notes: [String])
        case measured(EncodedFile.Location)
        case failed(String)
    }
}

/// What the app has others do. Performed in order, each by a protocol of `AppServices`.
public enum AppEffect: Equatable, Sendable {
    case load(Job, Photo.Identifier)
    case saveOriginal(Job, Photo.Identifier)
    case run(Job, EngineTask)
    case encode(Job, EncodedFile.Content)
    case save(Job, EncodedFile)
    /// Work that is no longer wanted; it may still answer.
    case stop(Job)
    case discard(EncodedFile)
    case forget(Photo.Identifier)
    case beginBackgroundTime(Job)
    case endBackgroundTime(Job)
    /// In the background iOS refuses the GPU and ends what uses it.
    case limitEngine(toBackground: Bool)
}

/// What the app says of what happened.
public enum Notice: Equatable, Sendable {
    case saved
    case notSaved
    case saveInterrupted
    case paused
    case startedAgain
    case busy
    case measurementStopped
    case stopped
    /// In the words of whoever failed, with what to do about it.
    case failed(String)

    public var sentence: String {
        switch self {
        case .saved: "Saved to Photos."
        case .notSaved: "The photo before was not saved, because another one was opened meanwhile."
        case .saveInterrupted: "iOS stopped the app before the photo was saved. Save it again."
        case .paused: "iOS stopped the app in the background. The photo is enhanced when you come back."
        case .startedAgain: "iOS had stopped the app in the background. The photo is enhanced again from its beginning."
        case .busy: "The model is busy. Try again when it has finished."
        case .measurementStopped: "The measurement stopped, because the app left the screen. Measure again."
        case .stopped: "The work was stopped. Try again."
        case .failed(let sentence): sentence
        }
    }
}
