#if canImport(CoreML)
import Foundation
import PocketCore

/// One photo from file to enhanced pixels, at full resolution, in bounded memory.
public struct PhotoJob: Sendable {
    public struct Result: Sendable {
        public let decoded: DecodedPhoto
        public let enhanced: EnhancedPhoto
        public let stages: ReportWholePhoto.Stages
    }

    private let ready: ModelStore.Ready

    public init(_ ready: ModelStore.Ready) { self.ready = ready }

    /// Stops between tiles when its task is cancelled, and rests while the device is too hot.
    ///
    /// Raises `PhotoFailure`, `CancellationError`, and what Core ML raises.
    public func run(
        _ file: URL, strength: Strength, progress: @Sendable (Double) async -> Void = { _ in }
    ) async throws -> Result {
        var stages = ReportWholePhoto.Stages()
        let started = ContinuousClock.now
        let decoded = try DecodedPhoto(file)
        stages.decodeMs = 1000 * (ContinuousClock.now - started).inSeconds

        let photo = decoded.source
        let enhanced = try EnhancedPhoto(height: photo.height, width: photo.width)
        let engine = TimedEngine(ready.engine)
        let manifest = ready.artifact.manifest
        let enhancer = PhotoEnhancer(tiling: manifest.tiling, thumbnailPx: manifest.thumbnailPx, engine: engine)
        let begun = ContinuousClock.now
        try await enhancer.enhance(photo, into: enhanced.sink, strength: strength) { share in
            await progress(share)
            await DeviceState.restWhileHot()
        }
        let wholeMs = 1000 * (ContinuousClock.now - begun).inSeconds
        stages.analyzeMs = await engine.analyzeS * 1000
        stages.tilesMs = await engine.enhanceS * 1000
        stages.stitchMs = max(wholeMs - stages.analyzeMs - stages.tilesMs, 0)
        return Result(decoded: decoded, enhanced: enhanced, stages: stages)
    }
}
#endif
