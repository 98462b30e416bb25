import PocketCore

/// Where a photo comes from: an item of the picker, or what the camera took.
public protocol PhotoContent: Sendable {
    /// Writes the file as it is, metadata included. It may have to come from iCloud. Raises an `Explained` error.
    func write(to file: EncodedFile.Location) async throws
}

/// Photos on disk, in the library and on the screen. Nothing of it runs on the main actor.
public protocol PhotoService: Sendable {
    func load(_ content: any PhotoContent, as photo: Photo.Identifier) async throws -> Picture
    /// The file as the camera made it, into the library.
    func saveOriginal(of photo: Photo.Identifier) async throws
    func encode(_ content: EncodedFile.Content) async throws -> EncodedFile
    func save(_ file: EncodedFile) async throws
    func discard(_ file: EncodedFile) async
    func forget(_ photo: Photo.Identifier) async
}

/// The model. It is asked for one thing at a time.
public protocol EngineService: Sendable {
    func open(_ choice: ModelChoice, phase: @Sendable (ModelPhase) async -> Void) async -> ModelPhase
    func preview(_ photo: Photo.Identifier) async throws -> Picture
    /// result: the name of the full-size result, for `PhotoService.encode`.
    func enhance(
        _ photo: Photo.Identifier, result: Job, progress: @Sendable (Double) async -> Void
    ) async throws -> (picture: Picture, notes: [String])
    func measure(
        _ measurement: BenchmarkRequest, progress: @Sendable (Double) async -> Void
    ) async throws -> EncodedFile.Location
    func limit(toBackground: Bool) async
}

/// The app's time in the background, for one piece of work each.
@MainActor public protocol BackgroundTime {
    func begin(_ job: Job, expired: @escaping @MainActor () -> Void)
    func report(_ job: Job, share: Double)
    func end(_ job: Job)
}

/// All that the app needs of the system that it runs on.
@MainActor public struct AppServices {
    public let photos: any PhotoService
    public let engine: any EngineService
    public let backgroundTime: any BackgroundTime

    public init(photos: any PhotoService, engine: any EngineService, backgroundTime: any BackgroundTime) {
        (self.photos, self.engine, self.backgroundTime) = (photos, engine, backgroundTime)
    }
}
