import Foundation
import PocketApp
import PocketCore
import XCTest

/// The loop with services that stand in for iOS: effects run away from the main actor, and are stopped when told.
@MainActor
final class LoopTests: XCTestCase {
    private struct Content: PhotoContent {
        let failure: (any Error)?

        func write(to file: EncodedFile.Location) async throws {
            if let failure { throw failure }
        }
    }

    private struct Refused: Explained {
        let sentence = "The photo is in iCloud and could not be loaded."
    }

    private actor Photos: PhotoService {
        private(set) var saved: [EncodedFile] = []
        private(set) var forgotten: [Photo.Identifier] = []
        private(set) var onMain = false

        func load(_ content: any PhotoContent, as photo: Photo.Identifier) async throws -> Picture {
            noteThread()
            try await content.write(to: URL(fileURLWithPath: "/photo"))
            return Picture(photo)
        }

        func saveOriginal(of photo: Photo.Identifier) { noteThread() }

        func encode(_ content: EncodedFile.Content) -> EncodedFile {
            noteThread()
            return EncodedFile(content: content, location: URL(fileURLWithPath: "/file"))
        }

        func save(_ file: EncodedFile) { saved.append(file) }
        func discard(_ file: EncodedFile) {}
        func forget(_ photo: Photo.Identifier) { forgotten.append(photo) }

        private func noteThread() { onMain = onMain || isMainThread() }
    }

    private actor Engine: EngineService {
        private(set) var limits: [Bool] = []
        private(set) var stopped = 0
        private(set) var onMain = false
        private let hangs: Bool

        init(hangs: Bool) { self.hangs = hangs }

        func open(_ choice: ModelChoice, phase: @Sendable (ModelPhase) async -> Void) async -> ModelPhase {
            await phase(.verifying)
            await phase(.compiling)
            return .ready(goldenPsnrDb: 70)
        }

        func preview(_ photo: Photo.Identifier) -> Picture { Picture("preview") }

        func enhance(
            _ photo: Photo.Identifier, result: Job, progress: @Sendable (Double) async -> Void
        ) async throws -> (picture: Picture, notes: [String]) {
            onMain = onMain || isMainThread()
            await progress(0.5)
            do {
                while hangs { try await Task.sleep(for: .milliseconds(1)) }
            } catch {
                stopped += 1
                throw error
            }
            return (Picture("after"), ["A note."])
        }

        func measure(
            _ measurement: BenchmarkRequest, progress: @Sendable (Double) async -> Void
        ) async throws -> EncodedFile.Location { URL(fileURLWithPath: "/report") }

        func limit(toBackground: Bool) { limits.append(toBackground) }
    }

    private final class Time: BackgroundTime {
        private(set) var held: [Job: @MainActor () -> Void] = [:]
        private(set) var shares: [Double] = []

        func begin(_ job: Job, expired: @escaping @MainActor () -> Void) { held[job] = expired }
        func report(_ job: Job, share: Double) { shares.append(share) }
        func end(_ job: Job) { held[job] = nil }
        func expire() { for expired in held.values { expired() } }
    }

    private let photos = Photos()
    private let time = Time()

    private func loop(_ engine: Engine) -> AppLoop {
        AppLoop(AppServices(photos: photos, engine: engine, backgroundTime: time))
    }

    private func wait(
        _ loop: AppLoop, line: UInt = #line, until holds: (AppState) -> Bool
    ) async throws {
        for _ in 0..<5000 where !holds(loop.state) { try await Task.sleep(for: .milliseconds(1)) }
        XCTAssertTrue(holds(loop.state), "\(loop.state)", line: line)
    }

    func testAPhotoGoesFromThePickerToTheLibrary() async throws {
        let engine = Engine(hangs: false)
        let loop = loop(engine)
        var shown = 0
        loop.onChange = { _ in shown += 1 }
        loop.send(.modelChosen(ModelChoice(name: "pocket-clean", units: .all)))
        loop.pick(Content(failure: nil), from: .camera)
        try await wait(loop) { $0.photo?.after != nil }
        loop.send(.enhance)
        try await wait(loop) { $0.photo?.result != nil }
        XCTAssertEqual(loop.state.photo?.notes, ["A note."])
        loop.send(.strength(0.5))
        loop.send(.save)
        try await wait(loop) { $0.notice == .saved }
        let saved = await photos.saved
        XCTAssertEqual(saved.map(\.content), [try XCTUnwrap(loop.state.shownContent)])
        XCTAssertEqual(time.shares, [0.5])
        XCTAssertTrue(time.held.isEmpty)
        XCTAssertGreaterThan(shown, 8)
        let onMain = (await photos.onMain, await engine.onMain)
        XCTAssertFalse(onMain.0 || onMain.1, "work on a whole photo ran on the main thread")
    }

    func testExpiryEndsTheTimeAtOnceAndTheWorkBeginsAgain() async throws {
        let engine = Engine(hangs: true)
        let loop = loop(engine)
        loop.send(.modelChosen(ModelChoice(name: "pocket-clean", units: .all)))
        loop.pick(Content(failure: nil), from: .library)
        try await wait(loop) { $0.photo?.after != nil }
        loop.send(.enhance)
        try await wait(loop) { $0.share == 0.5 }
        loop.send(.background)
        time.expire()
        XCTAssertTrue(time.held.isEmpty, "iOS ends an app that still holds time when its handler returns")
        XCTAssertEqual(loop.state.notice, .paused)
        try await wait(loop) { $0.engine == .idle }
        let stopped = await engine.stopped
        XCTAssertEqual(stopped, 1)
        loop.send(.foreground)
        XCTAssertEqual(time.held.count, 1)
        loop.send(.cancelled)
        try await wait(loop) { $0.engine == .idle }
    }

    func testAPhotoThatCannotBeLoadedIsSaid() async throws {
        let loop = loop(Engine(hangs: false))
        loop.pick(Content(failure: Refused()), from: .library)
        try await wait(loop) { $0.notice == .failed(Refused().sentence) }
        XCTAssertNil(loop.state.photo)
    }
}

private func isMainThread() -> Bool { Thread.isMainThread }
