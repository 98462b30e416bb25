import PocketCore

/// All that the app knows: which photo is shown, what the controls say, and what runs.
///
/// Changed by `apply(_:)` alone, which is synchronous: the order of events is its whole input, and the screens draw
/// what it leaves.
public struct AppState: Equatable, Sendable {
    /// The photo on the screen; nil before the first.
    public internal(set) var photo: Photo?
    /// What the controls say.
    public internal(set) var edit = Edit()
    /// A photo on its way from the picker or the camera.
    public internal(set) var load: Load?

    public internal(set) var choice: ModelChoice?
    public internal(set) var model = ModelPhase.missing
    /// The choice that `model` is about, once it has been opened or has failed.
    public internal(set) var opened: ModelChoice?

    public internal(set) var engine = EngineUse.idle
    public internal(set) var wantsEnhancement = false
    public internal(set) var measurement: BenchmarkRequest?
    /// The file of the last report.
    public internal(set) var report: EncodedFile.Location?

    public internal(set) var delivery: Delivery?
    /// What the share sheet offers.
    public internal(set) var shared: EncodedFile?

    public internal(set) var notice: Notice?
    public internal(set) var isInBackground = false
    /// iOS ended the app's time in the background; the enhancement begins again in the foreground.
    public internal(set) var isPaused = false
    var lastJob = 0

    public init() {}

    /// Whether the shown photo can be enhanced: it has no result yet, or one of another model.
    public var canEnhance: Bool {
        guard let photo, photo.originalJob == nil, model.isReady, measurement == nil, !wantsEnhancement else {
            return false
        }
        return photo.result == nil || photo.resultModel != opened
    }

    /// Whether the shown photo can be saved or shared.
    public var canDeliver: Bool {
        photo?.result != nil && delivery == nil && shared == nil && measurement == nil
    }

    /// Whether a benchmark would have the device for itself.
    public var canMeasure: Bool {
        model.isReady && engine == .idle && nextTask == nil && delivery == nil && load == nil && !isInBackground
    }

    /// What a file must hold to be what the screen shows.
    public var shownContent: EncodedFile.Content? {
        guard let photo, let result = photo.result else { return nil }
        return EncodedFile.Content(photo: photo.id, result: result, edit: edit)
    }

    /// Done so far by what runs, in [0, 1]; nil where nothing counts.
    public var share: Double? {
        if case .running(let work) = engine { return work.share }
        return nil
    }
}

/// A piece of work. Numbers are never used twice, so that an answer that comes late is known to be late.
public struct Job: Hashable, Sendable {
    public let number: Int

    public init(number: Int) { self.number = number }
}

/// What the controls say about the result.
public struct Edit: Hashable, Sendable {
    /// 0 is the photo as it was, 1 the whole effect.
    public internal(set) var strength = Strength.full
    public internal(set) var removesPlace = true

    public init(strength: Strength = .full, removesPlace: Bool = true) {
        (self.strength, self.removesPlace) = (strength, removesPlace)
    }
}

public struct ModelChoice: Hashable, Sendable {
    public let name: String
    public let units: ComputeUnits

    public init(name: String, units: ComputeUnits) { (self.name, self.units) = (name, units) }
}

/// A benchmark that somebody asked for.
public struct BenchmarkRequest: Hashable, Sendable {
    /// Tile after tile for so long; 0 for none.
    public let sustainedS: Double
    /// Enhanced from file to file as well; nil for none.
    public let photo: Photo.Identifier?

    public init(sustainedS: Double, photo: Photo.Identifier?) { (self.sustainedS, self.photo) = (sustainedS, photo) }
}

/// The one user of the model at a time.
public enum EngineUse: Equatable, Sendable {
    case idle
    case running(EngineWork)
    /// Was told to stop and has not answered yet; the engine is still its own.
    case stopping(Job)
}

public struct EngineWork: Equatable, Sendable {
    public let job: Job
    public let task: EngineTask
    public internal(set) var share = 0.0
}

public enum EngineTask: Hashable, Sendable {
    case open(ModelChoice)
    case preview(Photo.Identifier)
    case enhance(Photo.Identifier)
    case measure(BenchmarkRequest)

    /// An enhancement asks iOS for time in the background; nothing else is worth it.
    var needsBackgroundTime: Bool {
        if case .enhance = self { return true }
        return false
    }
}
