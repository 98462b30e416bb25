/// What an engine makes of the artifact's golden tile on this device, against the float reference.
///
/// Hardware differs: a compute unit that computes something else must show before it touches a photo.
public struct SelfTest: Sendable {
    /// With the engine's own condition, as photos are enhanced.
    public let comparison: Comparison
    /// The worse of two conditions, the engine's own and the golden one.
    public let psnrDb: Double
    /// Of the output in 8 bits, R G B by row.
    public let outputSha256: String

    /// Raises `Refusal` where golden files are broken, `ModelFailure.selfTest` below the manifest's tolerance, and
    /// what the engine raises.
    public init(_ artifact: Artifact, _ engine: any TileEngine) async throws {
        let manifest = artifact.manifest
        let side = manifest.tiling.tilePx
        let golden = manifest.golden
        let tile = try artifact.floats(at: golden.tile)
        let expected = try artifact.floats(at: golden.output)
        let condition = try golden.condition.map { try artifact.floats(at: $0) }
        let own = try await engine.analyze(try artifact.floats(at: golden.thumbnail))
        let output = Self.clamped(try await engine.enhance(tile, own))
        let given = Self.clamped(try await engine.enhance(tile, condition))
        guard let comparison = Comparison(output, reference: expected, height: side, width: side),
            let other = Comparison(given, reference: expected, height: side, width: side)
        else { throw EnhanceError.wrongOutput(values: output.count) }
        self.comparison = comparison
        psnrDb = min(comparison.psnrDb, other.psnrDb)
        outputSha256 = Sha256.hex(
            (0..<(side * side)).flatMap { at in (0..<3).map { level(of: output[$0 * side * side + at]) } })
        guard psnrDb >= golden.tolerancePsnrDb else {
            throw ModelFailure.selfTest(psnrDb: psnrDb, leastDb: golden.tolerancePsnrDb)
        }
    }

    private static func clamped(_ values: [Float]) -> [Float] { values.map { min(max($0, 0), 1) } }
}
