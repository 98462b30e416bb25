/// What a model may run on, by the words that reports use.
public enum ComputeUnits: String, CaseIterable, Identifiable, Sendable {
    case all
    case cpuAndNeuralEngine = "cpu and neural engine"
    case cpuAndGpu = "cpu and gpu"
    case cpuOnly = "cpu"

    public var id: String { rawValue }

    /// What is left of them in the background, where iOS refuses the GPU.
    public var withoutGpu: ComputeUnits {
        switch self {
        case .all, .cpuAndNeuralEngine: .cpuAndNeuralEngine
        case .cpuAndGpu, .cpuOnly: .cpuOnly
        }
    }
}
