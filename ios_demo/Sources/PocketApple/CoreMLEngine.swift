#if canImport(CoreML)
import CoreML
import CoreVideo
import Foundation
import PocketCore

/// The two Core ML programs of an artifact. An actor: Core ML's models take one prediction at a time best.
public actor CoreMLEngine: TileEngine {
    private let analyzing: Program
    private let enhancing: Program
    /// Where Core ML plans to run `enhance`.
    public nonisolated let plannedUnits: String
    /// Of both programs, compiled before, in milliseconds.
    public nonisolated let loadTimeMs: Double

    /// Loads an artifact that has been verified.
    ///
    /// Raises `ModelFailure`: Core ML refuses the model, or the model is not what the manifest says.
    public init(_ artifact: Artifact, units: ComputeUnits, compiled: CompiledModels) async throws {
        let manifest = artifact.manifest
        guard manifest.format == .coreml else { throw ModelFailure.wrongFormat(manifest.format.rawValue) }
        let sums = Dictionary(manifest.files.map { ($0.path, $0.sha256) }) { first, _ in first }
        var places: [URL] = []
        for point in [manifest.analyze, manifest.enhance] {
            places.append(try await compiled.url(of: artifact.url(of: point.file), sha256: sums[point.file] ?? ""))
        }
        let start = ContinuousClock.now
        analyzing = try await Program(manifest.analyze, at: places[0], units)
        enhancing = try await Program(manifest.enhance, at: places[1], units)
        loadTimeMs = 1000 * (ContinuousClock.now - start).inSeconds
        plannedUnits = await units.planned(for: places[1])
    }

    public func analyze(_ thumbnail: [Float]) async throws -> [[Float]] {
        try await analyzing.run([thumbnail])
    }

    public func enhance(_ tile: [Float], _ condition: [[Float]]) async throws -> [Float] {
        try await enhancing.run([tile] + condition).first ?? []
    }
}

/// One entry point: named features in the manifest's order, in and out.
private final class Program {
    private let model: MLModel
    private let interface: ModelInterface
    private var buffers: [String: PixelBuffers] = [:]

    init(_ point: EntryPoint, at compiled: URL, _ units: ComputeUnits) async throws {
        interface = try ModelInterface(of: point)
        do {
            model = try await MLModel.load(contentsOf: compiled, configuration: units.configuration)
        } catch {
            throw ModelFailure.notLoaded(error.localizedDescription)
        }
        try interface.check(ModelInterface(model.modelDescription))
        for feature in interface.inputs + interface.outputs {
            if case .image(let height, let width) = feature.kind {
                buffers[feature.name] = try PixelBuffers(height: height, width: width)
            }
        }
    }

    func run(_ inputs: [[Float]]) async throws -> [[Float]] {
        var features: [String: MLFeatureValue] = [:]
        for (feature, values) in zip(interface.inputs, inputs) {
            features[feature.name] = try featureValue(of: values, feature)
        }
        let provider = try MLDictionaryFeatureProvider(dictionary: features)
        let output = try await model.prediction(from: provider, options: MLPredictionOptions())
        return try interface.outputs.map { try values(of: output.featureValue(for: $0.name), $0) }
    }

    private func featureValue(of values: [Float], _ feature: ModelInterface.Feature) throws -> MLFeatureValue {
        switch feature.kind {
        case .tensor(let shape):
            guard shape.reduce(1, *) == values.count else { throw EnhanceError.wrongOutput(values: values.count) }
            return MLFeatureValue(shapedArray: MLShapedArray<Float>(scalars: values, shape: shape))
        case .image:
            guard let buffers = buffers[feature.name] else { throw missing(feature) }
            return MLFeatureValue(pixelBuffer: try buffers.buffer(of: values))
        }
    }

    private func values(of value: MLFeatureValue?, _ feature: ModelInterface.Feature) throws -> [Float] {
        switch feature.kind {
        case .tensor:
            // Arrays from the Neural Engine have padded rows; a shaped array's scalars have none.
            guard let array = value?.shapedArrayValue(of: Float.self) else { throw missing(feature) }
            return array.scalars
        case .image:
            guard let buffer = value?.imageBufferValue, let buffers = buffers[feature.name] else {
                throw missing(feature)
            }
            return try buffers.planes(of: buffer)
        }
    }

    private func missing(_ feature: ModelInterface.Feature) -> ModelFailure {
        .wrongInterface("a prediction lacks \(feature.name)")
    }
}

extension ModelInterface {
    /// As Core ML describes a loaded model.
    init(_ description: MLModelDescription) {
        self.init(
            inputs: description.inputDescriptionsByName.values.compactMap { Feature($0) },
            outputs: description.outputDescriptionsByName.values.compactMap { Feature($0) })
    }
}

extension ModelInterface.Feature {
    /// nil for what this project's packages do not have; the check then says that it is missing.
    init?(_ description: MLFeatureDescription) {
        if let image = description.imageConstraint, image.pixelFormatType == kCVPixelFormatType_32BGRA {
            self.init(name: description.name, kind: .image(height: image.pixelsHigh, width: image.pixelsWide))
        } else if let array = description.multiArrayConstraint, array.dataType == .float32 {
            self.init(name: description.name, kind: .tensor(shape: array.shape.map(\.intValue)))
        } else {
            return nil
        }
    }
}
#endif
