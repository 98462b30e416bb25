#if canImport(CoreML)
import CoreML
import Foundation
import PocketCore

extension ComputeUnits {
    var configuration: MLModelConfiguration {
        let configuration = MLModelConfiguration()
        configuration.computeUnits =
            switch self {
            case .all: .all
            case .cpuAndNeuralEngine: .cpuAndNeuralEngine
            case .cpuAndGpu: .cpuAndGPU
            case .cpuOnly: .cpuOnly
            }
        return configuration
    }

    /// Where Core ML plans to run a compiled model: operators per device, "neural engine 60, cpu 2".
    ///
    /// "unknown" before iOS 17.4, which has no `MLComputePlan`, and where Core ML does not say.
    func planned(for compiled: URL) async -> String {
        guard #available(iOS 17.4, macOS 14.4, *),
            let plan = try? await MLComputePlan.load(contentsOf: compiled, configuration: configuration),
            case .program(let program) = plan.modelStructure
        else { return "unknown" }
        var counts: [String: Int] = [:]
        for function in program.functions.values {
            for operation in function.block.operations {
                guard let device = plan.deviceUsage(for: operation)?.preferred else { continue }  // constants
                switch device {
                case .neuralEngine: counts["neural engine", default: 0] += 1
                case .gpu: counts["gpu", default: 0] += 1
                case .cpu: counts["cpu", default: 0] += 1
                @unknown default: counts["other", default: 0] += 1
                }
            }
        }
        let sorted = counts.sorted { ($0.value, $1.key) > ($1.value, $0.key) }
        return sorted.isEmpty ? "unknown" : sorted.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
}
#endif
