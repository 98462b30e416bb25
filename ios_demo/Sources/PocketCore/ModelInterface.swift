/// The features of a Core ML package that the engine asks for: what the manifest promises, in Core ML's terms.
///
/// On a device it is compared with `MLModelDescription`; a test on Linux compares it with packages of the converter.
public struct ModelInterface: Equatable, Sendable {
    public struct Feature: Equatable, Sendable {
        public enum Kind: Equatable, Sendable {
            /// A multi-array of float32.
            case tensor(shape: [Int])
            /// A pixel buffer, colours as 8 bits of sRGB; the model itself divides by 255.
            case image(height: Int, width: Int)
        }

        public let name: String
        public let kind: Kind

        public init(name: String, kind: Kind) { (self.name, self.kind) = (name, kind) }
    }

    public let inputs: [Feature]
    public let outputs: [Feature]

    public init(inputs: [Feature], outputs: [Feature]) { (self.inputs, self.outputs) = (inputs, outputs) }

    /// Raises `ModelFailure.wrongInterface` for tensors that Core ML packages of this project do not have.
    public init(of point: EntryPoint) throws {
        self.init(inputs: try point.inputs.map(Self.feature), outputs: try point.outputs.map(Self.feature))
    }

    private static func feature(_ spec: TensorSpec) throws -> Feature {
        guard spec.layout != .nhwc else {
            throw ModelFailure.wrongInterface("\(spec.name) has channels last")
        }
        if spec.dtype == .float32 { return Feature(name: spec.name, kind: .tensor(shape: spec.shape)) }
        guard spec.layout == .nchw, spec.shape.prefix(2) == [1, 3], spec.channelOrder == .rgb else {
            throw ModelFailure.wrongInterface("\(spec.name) is of 8 bits and no RGB image")
        }
        return Feature(name: spec.name, kind: .image(height: spec.shape[2], width: spec.shape[3]))
    }

    /// Raises `ModelFailure.wrongInterface`: names the first feature that a model lacks or has otherwise.
    public func check(_ model: ModelInterface) throws {
        for (role, wanted, found) in [("input", inputs, model.inputs), ("output", outputs, model.outputs)] {
            let byName = Dictionary(found.map { ($0.name, $0.kind) }) { first, _ in first }
            for feature in wanted {
                guard let kind = byName[feature.name] else {
                    throw ModelFailure.wrongInterface("it has no \(role) \(feature.name)")
                }
                guard kind == feature.kind else {
                    throw ModelFailure.wrongInterface("its \(role) \(feature.name) is \(kind), not \(feature.kind)")
                }
            }
            guard found.count == wanted.count else {
                throw ModelFailure.wrongInterface("it has \(found.count) \(role)s, not \(wanted.count)")
            }
        }
    }
}
