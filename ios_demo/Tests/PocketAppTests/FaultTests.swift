import Foundation
import PocketApp
import PocketCore
import XCTest

/// Faults that the app had, each by the order of events that brings it out.
final class FaultTests: XCTestCase {
    func testFault1APhotoThatWasReplacedWhileItWasEncodedIsNotSaved() throws {
        var desk = Desk.enhanced()
        desk.send(.save)
        let encoding = try XCTUnwrap(desk.encodings.first)
        desk.pick()
        let load = try XCTUnwrap(desk.pending.last)
        desk.answer(load)
        XCTAssertEqual(desk.state.notice, .notSaved)
        let effects = desk.answer(encoding)
        XCTAssertTrue(desk.savedFiles.isEmpty)
        guard case .discard? = effects.first else { return XCTFail("the file is left behind") }
    }

    func testFault2AnOldTaskLeavesTheNewOnesBackgroundTimeAlone() throws {
        var (desk, old, oldJob) = try Desk.enhancing()
        XCTAssertEqual(desk.count(.beginBackgroundTime(oldJob)), 1)
        desk.send(.cancelled)
        XCTAssertEqual(desk.count(.endBackgroundTime(oldJob)), 1)
        desk.send(.enhance)
        desk.answer(old)  // late
        let work = try XCTUnwrap(desk.engineWork.first)
        guard case .run(let newJob, .enhance) = work else { return XCTFail("\(work)") }
        XCTAssertEqual(desk.count(.beginBackgroundTime(newJob)), 1)
        XCTAssertEqual(desk.count(.endBackgroundTime(newJob)), 0)
        desk.send(.expired(oldJob))  // later still
        desk.send(.ended(oldJob, .failed("late")))
        XCTAssertEqual(desk.count(.endBackgroundTime(newJob)), 0)
        desk.answer(work)
        XCTAssertEqual(desk.count(.endBackgroundTime(newJob)), 1)
        XCTAssertEqual(desk.count(.endBackgroundTime(oldJob)), 1)
    }

    func testFault3StrengthIsTheOneOfTheSliderWhenThePhotoIsSaved() throws {
        var desk = Desk.enhanced()
        desk.send(.strength(0.5))
        desk.send(.save)
        let encoding = try XCTUnwrap(desk.encodings.first)
        desk.send(.strength(0.25))
        desk.answer(encoding)
        desk.settle()
        XCTAssertEqual(desk.savedFiles.map(\.content.edit.strength.value), [0.25])
        let runs = desk.effects.filter {
            if case .run(_, .enhance) = $0 { return true }
            return false
        }
        XCTAssertEqual(runs.count, 1, "the photo was enhanced again for a strength")
        desk.send(.strength(.nan))
        desk.send(.strength(2))
        XCTAssertEqual(desk.state.edit.strength.value, 0.25)
    }

    func testFault4ThePlaceIsRemovedAsTheSwitchSaysWhenThePhotoIsShared() throws {
        var desk = Desk.enhanced()
        desk.send(.removesPlace(false))
        desk.send(.share)
        let encoding = try XCTUnwrap(desk.encodings.first)
        desk.send(.removesPlace(true))
        desk.answer(encoding)
        XCTAssertNil(desk.state.shared)
        desk.settle()
        let shared = try XCTUnwrap(desk.state.shared)
        XCTAssertTrue(shared.content.edit.removesPlace)
        desk.send(.removesPlace(false))
        XCTAssertNil(desk.state.shared, "a file with another setting is still offered")
        XCTAssertEqual(desk.count(.discard(shared)), 1)
    }

    func testFault5TheOriginalOfTheCameraIsSavedFirst() throws {
        var desk = Desk.ready()
        desk.pick(.camera)
        desk.answer(try XCTUnwrap(desk.pending.first))
        let saving = try XCTUnwrap(desk.pending.first)
        guard case .saveOriginal(_, 1) = saving else { return XCTFail("\(saving)") }
        desk.send(.enhance)
        XCTAssertTrue(desk.engineWork.isEmpty, "work began before the original was safe")
        desk.answer(saving)
        XCTAssertFalse(desk.engineWork.isEmpty)
        desk.settle()
        desk.send(.enhance)
        XCTAssertFalse(desk.engineWork.isEmpty)
    }

    func testFault5AnOriginalThatCannotBeSavedIsSaid() throws {
        var desk = Desk.ready()
        desk.pick(.camera)
        desk.answer(try XCTUnwrap(desk.pending.first))
        let saving = try XCTUnwrap(desk.pending.first)
        desk.pick()
        desk.answer(try XCTUnwrap(desk.pending.last))
        desk.fail(saving, "The library is full.")
        XCTAssertEqual(desk.state.notice, .failed("The library is full."))
    }

    func testFault6ExpiryIsSaidAndTheWorkBeginsAgain() throws {
        var (desk, work, job) = try Desk.enhancing()
        desk.send(.background)
        let effects = desk.send(.expired(job))
        XCTAssertEqual(effects, [.stop(job), .endBackgroundTime(job)])
        XCTAssertEqual(desk.state.notice, .paused)
        desk.end(work, by: .ended(job, .failed("stopped")))
        XCTAssertTrue(desk.engineWork.isEmpty, "work began in the background after iOS had stopped it")
        XCTAssertEqual(desk.state.notice, .paused)
        desk.send(.foreground)
        XCTAssertEqual(desk.state.notice, .startedAgain)
        XCTAssertEqual(desk.engineWork.count, 1)
        desk.settle()
        XCTAssertNotNil(desk.state.photo?.result)
    }

    func testFault6AnInterruptedSaveIsSaid() throws {
        var desk = Desk.enhanced()
        desk.send(.save)
        let encoding = try XCTUnwrap(desk.encodings.first)
        guard case .encode(let job, _) = encoding else { return XCTFail("\(encoding)") }
        desk.send(.background)
        XCTAssertEqual(desk.send(.expired(job)), [.stop(job), .endBackgroundTime(job)])
        XCTAssertEqual(desk.state.notice, .saveInterrupted)
        desk.answer(encoding)
        XCTAssertTrue(desk.savedFiles.isEmpty)
    }

    func testFault7TheGpuIsLeftBeforeAnythingElseInTheBackground() throws {
        var (desk, _, _) = try Desk.enhancing()
        XCTAssertEqual(desk.send(.background).first, .limitEngine(toBackground: true))
        XCTAssertEqual(desk.engineWork.count, 1, "the enhancement goes on without the GPU")
        XCTAssertEqual(desk.send(.foreground).first, .limitEngine(toBackground: false))
    }

    /// A GPU as iOS has it: refused in the background.
    private struct Gpu: TileEngine {
        struct Refused: Error {}

        let leavesScreen: @Sendable () async -> Void

        func analyze(_ thumbnail: [Float]) async throws -> [[Float]] { [[1]] }
        func enhance(_ tile: [Float], _ condition: [[Float]]) async throws -> [Float] {
            await leavesScreen()
            throw Refused()
        }
    }

    private struct NeuralEngine: TileEngine {
        func analyze(_ thumbnail: [Float]) -> [[Float]] { [[2]] }
        func enhance(_ tile: [Float], _ condition: [[Float]]) -> [Float] { tile }
    }

    private actor Switch {
        var engine: BackgroundSafeEngine?
        func hold(_ engine: BackgroundSafeEngine) { self.engine = engine }
        func leaveScreen() async { await engine?.limit(toBackground: true) }
    }

    func testFault7ATileThatTheGpuLosesIsComputedAgain() async throws {
        let holder = Switch()
        let engine = BackgroundSafeEngine(foreground: Gpu { await holder.leaveScreen() }) { NeuralEngine() }
        await holder.hold(engine)
        let first = try await engine.analyze([])
        XCTAssertEqual(first, [[1]])
        let tile = try await engine.enhance([0.5], [[1]])
        XCTAssertEqual(tile, [0.5])
        let limited = try await engine.analyze([])
        XCTAssertEqual(limited, [[2]])
    }

    func testFault7AnErrorInTheForegroundIsAnError() async {
        let engine = BackgroundSafeEngine(foreground: Gpu {}) { NeuralEngine() }
        do {
            _ = try await engine.enhance([0.5], [[1]])
            XCTFail("an error was hidden")
        } catch { XCTAssertTrue(error is Gpu.Refused) }
    }

    func testFault8APhotoThatDoesNotLoadIsSaidAndTheOldOneStays() throws {
        var desk = Desk.enhanced()
        let shown = desk.state.photo
        desk.pick()
        desk.fail(try XCTUnwrap(desk.pending.first), "The photo could not be loaded from iCloud.")
        XCTAssertEqual(desk.state.notice, .failed("The photo could not be loaded from iCloud."))
        XCTAssertEqual(desk.state.photo, shown)
        XCTAssertNil(desk.state.load)
        XCTAssertEqual(desk.count(.forget(2)), 1)
    }

    func testFault9ABenchmarkAndAnEnhancementNeverRunAtOnce() throws {
        var (desk, work, _) = try Desk.enhancing()
        let measurement = BenchmarkRequest(sustainedS: 0, photo: nil)
        desk.send(.measure(measurement))
        XCTAssertEqual(desk.state.notice, .busy)
        desk.send(.cancelled)
        desk.send(.measure(measurement))  // the enhancement has not ended yet
        XCTAssertEqual(desk.engineWork, [work])
        desk.answer(work)
        desk.send(.measure(measurement))
        XCTAssertEqual(desk.engineWork.count, 1)
        desk.send(.enhance)
        XCTAssertEqual(desk.engineWork.count, 1)
        XCTAssertEqual(desk.state.notice, .busy)
        desk.settle()
        XCTAssertNotNil(desk.state.report)
        XCTAssertNil(desk.state.photo?.result)
    }

    func testFault9ANewModelWaitsForTheOld() throws {
        var (desk, work, job) = try Desk.enhancing()
        let other = ModelChoice(name: "other", units: .cpuOnly)
        XCTAssertEqual(desk.send(.modelChosen(other)), [.stop(job), .endBackgroundTime(job)])
        XCTAssertEqual(desk.engineWork, [work])
        desk.end(work, by: .ended(job, .failed("stopped")))
        guard case .run(_, .open(other))? = desk.engineWork.first else { return XCTFail("\(desk.pending)") }
        desk.settle()
        XCTAssertEqual(desk.state.photo?.resultModel, other)
    }
}
