// swift-tools-version:5.10
import PackageDescription

let package = Package(
    name: "PocketDSLR",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [
        .library(name: "PocketCore", targets: ["PocketCore"]),
        .library(name: "PocketApple", targets: ["PocketApple"]),
    ],
    targets: [
        // No Apple framework: builds and is tested on Linux, too.
        .target(name: "PocketCore", swiftSettings: [.enableExperimentalFeature("StrictConcurrency")]),
        // Every file is inside `#if canImport(CoreML)`: empty elsewhere.
        .target(name: "PocketApple", dependencies: ["PocketCore"]),
        .testTarget(name: "PocketCoreTests", dependencies: ["PocketCore"]),
    ]
)
