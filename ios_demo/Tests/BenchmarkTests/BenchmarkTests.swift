import PocketApple
import PocketCore
import XCTest

/// Measures every model that the app carries and attaches the reports; benchmarks/on_ios.py runs this on a device.
final class BenchmarkTests: XCTestCase {
    func testEveryModelIsMeasured() async throws {
        let folder = Bundle.main.bundleURL.appending(path: "Models", directoryHint: .isDirectory)
        let store = ModelStore(folder: folder)
        XCTAssertFalse(store.names.isEmpty, "the app carries no model")
        let baseline = DeviceState.memoryMb?.now
        for name in store.names {
            let opened = await store.open(name, units: .all) { print(name, $0) }
            let ready = try XCTUnwrap(opened, "\(name) is not ready")
            let report = try await DeviceBenchmark(ready, baselineMemoryMb: baseline).run()
            let attachment = XCTAttachment(data: Data(report.text.utf8), uniformTypeIdentifier: "public.json")
            attachment.name = "\(name).json"
            attachment.lifetime = .keepAlways
            add(attachment)
        }
    }
}
