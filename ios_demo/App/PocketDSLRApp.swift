import PocketApple
import SwiftUI

@main
struct PocketDSLRApp: App {
    @State private var session = Session(
        store: ModelStore(folder: Bundle.main.bundleURL.appending(path: "Models", directoryHint: .isDirectory)))

    var body: some Scene {
        WindowGroup {
            TabView {
                EnhanceScreen().tabItem { Label("Enhance", systemImage: "camera.filters") }
                ModelScreen().tabItem { Label("Model", systemImage: "cpu") }
                BenchmarkScreen().tabItem { Label("Benchmark", systemImage: "stopwatch") }
            }
            .environment(session)
            .task { await session.openModel() }
        }
    }
}
