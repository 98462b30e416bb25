/// How far a model is on its way from a folder to predictions. The app shows exactly this.
public enum ModelPhase: Equatable, Sendable {
    /// No artifact at the place where it should be.
    case missing
    case verifying
    case compiling
    /// The self-test passed with this agreement to the golden tile.
    case ready(goldenPsnrDb: Double)
    case failed(ModelFailure)

    public var isReady: Bool {
        if case .ready = self { return true }
        return false
    }

    /// Whether one phase may follow another: a model is never ready without having been verified and compiled.
    public func mayBecome(_ next: ModelPhase) -> Bool {
        switch (self, next) {
        case (.missing, .verifying), (.verifying, .compiling), (.compiling, .ready): true
        case (.verifying, .missing), (.verifying, .failed), (.compiling, .failed): true
        case (.ready, .verifying), (.ready, .failed), (.failed, .verifying): true
        default: false
        }
    }
}

/// Why a model cannot be used, with what the user can do about it.
public enum ModelFailure: Error, Equatable, Sendable {
    case refused(Refusal)
    /// An artifact of another format than this app runs.
    case wrongFormat(String)
    /// The model's own description differs from the manifest: what differs.
    case wrongInterface(String)
    /// Core ML's words.
    case notCompiled(String)
    case notLoaded(String)
    /// The golden tile came out wrong: dB, and dB that are required.
    case selfTest(psnrDb: Double, leastDb: Double)

    public var sentence: String {
        switch self {
        case .refused(let refusal):
            "The model is damaged or not one of this app's: \(refusal.description). Install it again."
        case .wrongFormat(let format):
            "The model is made for \(format) and this app runs Core ML. Convert it with conversion/to_coreml.py."
        case .wrongInterface(let what):
            "The model does not fit its manifest: \(what). Convert it again."
        case .notCompiled(let words):
            "Core ML cannot compile the model: \(words) Free some space or install the model again."
        case .notLoaded(let words):
            "Core ML cannot load the model: \(words) Close other apps and try again."
        case .selfTest(let psnrDb, let leastDb):
            "On this device the model computes something else than it should: its self-test reached "
                + "\(tenths(psnrDb)) dB of \(tenths(leastDb)) dB. Choose another compute unit."
        }
    }
}

private func tenths(_ value: Double) -> String {
    value.isFinite ? String((value * 10).rounded() / 10) : "no"
}
