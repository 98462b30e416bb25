/// An engine that leaves the GPU in the background, where iOS ends what uses it.
///
/// It changes engines between tiles. A tile that the GPU had begun when the app left the screen fails; it is computed
/// once more by the other engine.
public actor BackgroundSafeEngine: TileEngine {
    private let foreground: any TileEngine
    private let openBackground: @Sendable () async throws -> any TileEngine
    private var background: (any TileEngine)?
    private var isLimited = false

    /// background: opened once, when it is needed first. Its sums may differ from those of `foreground` in the last bits.
    public init(foreground: any TileEngine, background: @escaping @Sendable () async throws -> any TileEngine) {
        (self.foreground, openBackground) = (foreground, background)
    }

    public func limit(toBackground: Bool) { isLimited = toBackground }

    public func analyze(_ thumbnail: [Float]) async throws -> [[Float]] {
        try await run { try await $0.analyze(thumbnail) }
    }

    public func enhance(_ tile: [Float], _ condition: [[Float]]) async throws -> [Float] {
        try await run { try await $0.enhance(tile, condition) }
    }

    private func run<Value: Sendable>(_ body: @Sendable (any TileEngine) async throws -> Value) async throws -> Value {
        if isLimited { return try await body(try await limited()) }
        do {
            return try await body(foreground)
        } catch  where isLimited && !(error is CancellationError) {
            return try await body(try await limited())
        }
    }

    private func limited() async throws -> any TileEngine {
        if let background { return background }
        let opened = try await openBackground()
        background = opened
        return opened
    }
}
