// swift-tools-version:6.0
import PackageDescription

// The iOS side of the project, at the root because SwiftPM takes packages from there. Releases are tagged 1.2.3.
let package = Package(
    name: "PocketDSLR",
    defaultLocalization: "en",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [
        .library(name: "PocketCore", targets: ["PocketCore"]),
        .library(name: "PocketApple", targets: ["PocketApp", "PocketApple"]),
    ],
    targets: [
        // No Apple framework in these two: they are built and tested on Linux, too.
        .target(name: "PocketCore", path: "ios_demo/Sources/PocketCore"),
        .target(name: "PocketApp", dependencies: ["PocketCore"], path: "ios_demo/Sources/PocketApp"),
        // Every file is inside `#if canImport(CoreML)`: empty elsewhere. Models are copied as they are: a manifest
        // lists the sha256 of every file.
        .target(
            name: "PocketApple", dependencies: ["PocketCore", "PocketApp"], path: "ios_demo/Sources/PocketApple",
            resources: [.copy("Models")],
            // Until a Mac has compiled it; the two above are in Swift 6 mode.
            swiftSettings: [.swiftLanguageMode(.v5)]),
        .testTarget(
            name: "PocketCoreTests", dependencies: ["PocketCore"], path: "ios_demo/Tests/PocketCoreTests"),
        .testTarget(name: "PocketAppTests", dependencies: ["PocketApp"], path: "ios_demo/Tests/PocketAppTests"),
    ]
)
