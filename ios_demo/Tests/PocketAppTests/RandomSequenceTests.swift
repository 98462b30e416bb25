import Foundation
import PocketCore
import XCTest

@testable import PocketApp

/// Thousands of random orders of events: what holds after every one of them.
final class RandomSequenceTests: XCTestCase {
    private static let sequences = 10_000
    private static let events = 60

    func testWhatIsSavedIsWhatIsShown() {
        var saves = 0
        var shares = 0
        var enhancements = 0
        for seed in 1...Self.sequences {
            var run = RandomRun(seed: UInt64(seed))
            for _ in 0..<Self.events {
                if let broken = run.step() {
                    return XCTFail("sequence \(seed): \(broken); \(run.events.suffix(12))")
                }
            }
            if let broken = run.finish() { return XCTFail("sequence \(seed), at its end: \(broken)") }
            saves += run.desk.savedFiles.count
            shares += run.shares
            enhancements += run.enhancements
        }
        // A property of sequences in which nothing is saved would prove nothing.
        XCTAssertGreaterThan(saves, Self.sequences / 10)
        XCTAssertGreaterThan(shares, Self.sequences / 10)
        XCTAssertGreaterThan(enhancements, Self.sequences / 2)
        print("\(Self.sequences) sequences: \(enhancements) enhancements, \(saves) saves, \(shares) shares")
    }
}

/// splitmix64
private struct Dice: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// One random order, and a second book on what the screen must show, which is kept from the events alone.
private struct RandomRun {
    private(set) var desk = Desk()
    private(set) var events: [AppEvent] = []
    private(set) var shares = 0
    private(set) var enhancements = 0
    private var dice: Dice
    private var controls = Edit()
    private var shown: Photo.Identifier?
    private var pickings: [Job: Photo.Identifier] = [:]
    private var grants: Set<Job> = []
    private var grantsEnded: Set<Job> = []
    private var originalsOpen: Set<Photo.Identifier> = []

    init(seed: UInt64) { dice = Dice(state: seed) }

    /// One event, by the user, by iOS or by work that ends. Returns what is broken after it.
    mutating func step() -> String? {
        if !desk.pending.isEmpty, Int.random(in: 0..<3, using: &dice) > 0 {
            let effect = desk.pending[Int.random(in: 0..<desk.pending.count, using: &dice)]
            let fails = Int.random(in: 0..<8, using: &dice) == 0
            return end(effect, by: fails ? Desk.failure(of: effect, "no") : Desk.success(of: effect))
        }
        let event = someEvent()
        if case .picked = event { return check(after: event, desk.pickEffects(&dice)) }
        note(event)
        return check(after: event, desk.send(event))
    }

    /// The app comes to rest when the user goes away and all work ends: nothing is left running or held.
    mutating func finish() -> String? {
        note(.foreground)
        if let broken = check(after: .foreground, desk.send(.foreground)) { return broken }
        while let effect = desk.pending.first {
            if let broken = end(effect, by: Desk.success(of: effect)) { return broken }
        }
        if desk.state.engine != .idle { return "the engine is \(desk.state.engine)" }
        if desk.state.delivery != nil { return "a delivery hangs" }
        if desk.state.load != nil { return "a load hangs" }
        return grants == grantsEnded ? nil : "background time is held: \(grants.subtracting(grantsEnded))"
    }

    private mutating func end(_ effect: AppEffect, by event: AppEvent?) -> String? {
        guard let event else { return "\(effect) has no answer" }
        if case .loaded(let job, _) = event, desk.state.load?.job == job { shown = pickings[job] }
        if case .saveOriginal(_, let photo) = effect { originalsOpen.remove(photo) }
        return check(after: event, desk.end(effect, by: event))
    }

    private mutating func note(_ event: AppEvent) {
        if case .strength(let value) = event {
            controls = Edit(strength: Strength(Float(value)) ?? controls.strength, removesPlace: controls.removesPlace)
        }
        if case .removesPlace(let removes) = event {
            controls = Edit(strength: controls.strength, removesPlace: removes)
        }
    }

    private mutating func check(after event: AppEvent, _ effects: [AppEffect]) -> String? {
        events.append(event)
        if case .encoded = event, desk.state.shared != nil { shares += 1 }
        for effect in effects {
            if let broken = check(effect) { return broken }
        }
        if desk.state.photo?.id != shown { return "photo \(desk.state.photo?.id ?? 0) is shown, not \(shown ?? 0)" }
        if desk.state.edit != controls { return "the state has \(desk.state.edit), the controls say \(controls)" }
        if desk.engineWork.count > 1 { return "two users of the engine: \(desk.engineWork)" }
        if let shared = desk.state.shared, let broken = check(shared) { return "shared: \(broken)" }
        return nil
    }

    private mutating func check(_ effect: AppEffect) -> String? {
        switch effect {
        case .load(let job, let photo): pickings[job] = photo
        case .save(_, let file): return check(file).map { "saved: \($0)" }
        case .saveOriginal(_, let photo): originalsOpen.insert(photo)
        case .run(_, .enhance(let photo)), .run(_, .preview(let photo)):
            if case .run(_, .enhance) = effect { enhancements += 1 }
            if originalsOpen.contains(photo) { return "photo \(photo) is worked on before its original is safe" }
        case .beginBackgroundTime(let job):
            if !grants.insert(job).inserted { return "background time of \(job) begins twice" }
        case .endBackgroundTime(let job):
            if !grants.contains(job) || !grantsEnded.insert(job).inserted { return "no background time of \(job)" }
        default: break
        }
        return nil
    }

    /// What is saved or shared is the photo that is shown, as the controls say.
    private mutating func check(_ file: EncodedFile) -> String? {
        if file.content.photo != shown { return "photo \(file.content.photo) while \(shown ?? 0) is shown" }
        if file.content.edit != controls { return "\(file.content.edit) while the controls say \(controls)" }
        return file.content.result == desk.state.photo?.result ? nil : "an older result"
    }

    private mutating func someEvent() -> AppEvent {
        let held = grants.subtracting(grantsEnded).sorted { $0.number < $1.number }
        let past = Job(number: Int.random(in: 1...20, using: &dice))
        switch Int.random(in: 0..<24, using: &dice) {
        case 0...3: return .enhance
        case 4...6: return .save
        case 7...9: return .share
        case 10: return .shareEnded
        case 11...12: return .strength([0, 0.25, 0.5, 1, -1, .nan].randomElement(using: &dice) ?? 1)
        case 13: return .removesPlace(Bool.random(using: &dice))
        case 14: return .cancelled
        case 15: return .modelChosen(Bool.random(using: &dice) ? Desk.choice : ModelChoice(name: "b", units: .cpuOnly))
        case 16: return .measure(BenchmarkRequest(sustainedS: 0, photo: shown))
        case 17: return .measurementCancelled
        case 18: return .background
        case 19: return .foreground
        case 20: return .expired(held.randomElement(using: &dice) ?? past)
        case 21: return .encoded(past, late(past))  // answers that nobody waits for any more
        default: return .picked(0, .library)
        }
    }

    private func late(_ job: Job) -> EncodedFile {
        let content = EncodedFile.Content(photo: -1, result: job, edit: Edit())
        return EncodedFile(content: content, location: URL(fileURLWithPath: "/late"))
    }
}

extension Desk {
    fileprivate mutating func pickEffects(_ dice: inout Dice) -> [AppEffect] {
        let before = effects.count
        pick(Bool.random(using: &dice) ? .camera : .library)
        return Array(effects[before...])
    }
}
