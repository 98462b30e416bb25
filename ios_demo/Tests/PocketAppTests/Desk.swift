import Foundation
import PocketCore
import XCTest

@testable import PocketApp

/// The world around the state: what it was asked to do and has not answered yet. A test chooses what answers next.
struct Desk {
    private(set) var state = AppState()
    /// All effects so far, in order.
    private(set) var effects: [AppEffect] = []
    /// Work that has begun and has not ended. Work that was told to stop still answers.
    private(set) var pending: [AppEffect] = []
    private var photosPicked = 0

    @discardableResult mutating func send(_ event: AppEvent) -> [AppEffect] {
        let new = state.apply(event)
        effects += new
        for effect in new {
            switch effect {
            case .load, .saveOriginal, .run, .encode, .save: pending.append(effect)
            default: break
            }
        }
        return new
    }

    mutating func pick(_ origin: Photo.Origin = .library) {
        photosPicked += 1
        send(.picked(photosPicked, origin))
    }

    /// Lets a piece of pending work end well.
    @discardableResult mutating func answer(_ effect: AppEffect) -> [AppEffect] {
        end(effect, by: Self.success(of: effect))
    }

    @discardableResult mutating func fail(_ effect: AppEffect, _ sentence: String = "It failed.") -> [AppEffect] {
        end(effect, by: Self.failure(of: effect, sentence))
    }

    @discardableResult mutating func end(_ effect: AppEffect, by event: AppEvent?) -> [AppEffect] {
        guard let index = pending.firstIndex(of: effect), let event else {
            XCTFail("\(effect) is not pending")
            return []
        }
        pending.remove(at: index)
        return send(event)
    }

    /// Answers everything until nothing is pending.
    mutating func settle() {
        while let next = pending.first { answer(next) }
    }

    var engineWork: [AppEffect] {
        pending.filter {
            if case .run = $0 { return true }
            return false
        }
    }

    var encodings: [AppEffect] {
        pending.filter {
            if case .encode = $0 { return true }
            return false
        }
    }

    /// Files that were given to the photo library.
    var savedFiles: [EncodedFile] {
        effects.compactMap {
            if case .save(_, let file) = $0 { return file }
            return nil
        }
    }

    func count(_ effect: AppEffect) -> Int { effects.count { $0 == effect } }

    static func success(of effect: AppEffect) -> AppEvent? {
        switch effect {
        case .load(let job, _): .loaded(job, Picture("before"))
        case .saveOriginal(let job, _): .originalSaved(job)
        case .encode(let job, let content):
            .encoded(job, EncodedFile(content: content, location: URL(fileURLWithPath: "/\(job.number)")))
        case .save(let job, _): .saved(job)
        case .run(let job, let task):
            switch task {
            case .open: .ended(job, .opened(.ready(goldenPsnrDb: 70)))
            case .preview: .ended(job, .previewed(Picture("preview")))
            case .enhance: .ended(job, .enhanced(Picture("after"), notes: []))
            case .measure: .ended(job, .measured(URL(fileURLWithPath: "/report")))
            }
        default: nil
        }
    }

    static func failure(of effect: AppEffect, _ sentence: String) -> AppEvent? {
        switch effect {
        case .load(let job, _): .loadFailed(job, sentence)
        case .saveOriginal(let job, _): .originalFailed(job, sentence)
        case .encode(let job, _): .encodeFailed(job, sentence)
        case .save(let job, _): .saveFailed(job, sentence)
        case .run(let job, _): .ended(job, .failed(sentence))
        default: nil
        }
    }
}

extension Desk {
    static let choice = ModelChoice(name: "pocket-clean", units: .all)

    /// With a model that is ready.
    static func ready() -> Desk {
        var desk = Desk()
        desk.send(.modelChosen(choice))
        desk.settle()
        return desk
    }

    /// With a photo on the screen and its preview.
    static func withPhoto() -> Desk {
        var desk = ready()
        desk.pick()
        desk.settle()
        return desk
    }

    /// While the photo on the screen is enhanced.
    static func enhancing() throws -> (desk: Desk, work: AppEffect, job: Job) {
        var desk = withPhoto()
        desk.send(.enhance)
        let work = try XCTUnwrap(desk.engineWork.first)
        guard case .run(let job, .enhance) = work else { throw Unexpected(effect: work) }
        return (desk, work, job)
    }

    /// With an enhanced photo on the screen.
    static func enhanced() -> Desk {
        var desk = withPhoto()
        desk.send(.enhance)
        desk.settle()
        return desk
    }
}

struct Unexpected: Error {
    let effect: AppEffect
}
