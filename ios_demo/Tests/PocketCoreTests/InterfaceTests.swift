import Foundation
import PocketCore
import XCTest

/// What the engine asks of a Core ML package, and that it notices when a model has something else.
final class InterfaceTests: XCTestCase {
    /// Of the artifact at POCKET_ARTIFACT, written to POCKET_INTERFACE: Python compares it with the packages themselves.
    func testTheInterfaceOfAnArtifactIsWritten() throws {
        let environment = ProcessInfo.processInfo.environment
        guard let folder = environment["POCKET_ARTIFACT"], let place = environment["POCKET_INTERFACE"] else {
            throw XCTSkip("no POCKET_ARTIFACT and POCKET_INTERFACE given")
        }
        let manifest = try Artifact(verifying: URL(fileURLWithPath: folder)).manifest
        let points = try [manifest.analyze, manifest.enhance].map { point in
            (point.file, json(try ModelInterface(of: point)))
        }
        let text = Json.object(Dictionary(uniqueKeysWithValues: points)).canonical
        try Data(text.utf8).write(to: URL(fileURLWithPath: place))
    }

    func testAModelThatHasSomethingElseIsRefused() throws {
        let asked = ModelInterface(
            inputs: [.init(name: "tile", kind: .tensor(shape: [1, 3, 8, 8]))],
            outputs: [.init(name: "output", kind: .image(height: 8, width: 8))])
        XCTAssertNoThrow(try asked.check(asked))
        let others = [
            ModelInterface(inputs: [], outputs: asked.outputs),
            ModelInterface(inputs: [.init(name: "Tile", kind: .tensor(shape: [1, 3, 8, 8]))], outputs: asked.outputs),
            ModelInterface(inputs: [.init(name: "tile", kind: .tensor(shape: [1, 3, 8, 9]))], outputs: asked.outputs),
            ModelInterface(inputs: [.init(name: "tile", kind: .image(height: 8, width: 8))], outputs: asked.outputs),
            ModelInterface(inputs: asked.inputs, outputs: asked.outputs + asked.inputs),
        ]
        for other in others {
            XCTAssertThrowsError(try asked.check(other)) { error in
                guard case ModelFailure.wrongInterface = error else { return XCTFail("\(error)") }
            }
        }
    }

    private func json(_ interface: ModelInterface) -> Json {
        .object(["inputs": .list(interface.inputs.map(json)), "outputs": .list(interface.outputs.map(json))])
    }

    private func json(_ feature: ModelInterface.Feature) -> Json {
        switch feature.kind {
        case .tensor(let shape):
            .object(["name": .text(feature.name), "tensor": .list(shape.map(Json.integer))])
        case .image(let height, let width):
            .object(["name": .text(feature.name), "image": .list([.integer(height), .integer(width)])])
        }
    }
}
