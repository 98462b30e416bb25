import Foundation
import PocketCore

/// The photo on the screen.
public struct Photo: Equatable, Sendable {
    public typealias Identifier = Int

    public enum Origin: Hashable, Sendable {
        case library
        case camera
    }

    public let id: Identifier
    public let before: Picture
    /// The whole effect; the screen blends it with `before` by the strength. nil until there is a preview or a result.
    public internal(set) var after: Picture?
    /// What was dropped or assumed, in sentences.
    public internal(set) var notes: [String] = []
    /// The enhancement that made the full-size result, which lies on disk; nil before it.
    public internal(set) var result: Job?
    public internal(set) var resultModel: ModelChoice?
    /// While the camera's original is being saved; nothing else is done with a photo before that.
    public internal(set) var originalJob: Job?
    var wantsPreview = true
}

/// A picture for the screen. What it holds is known to whoever made it; the state compares identities only.
public struct Picture: Equatable, Sendable {
    public let id: UUID
    public let content: any Sendable

    public init(_ content: any Sendable) { (id, self.content) = (UUID(), content) }

    public static func == (one: Picture, other: Picture) -> Bool { one.id == other.id }
}

/// A photo on its way to the screen.
public struct Load: Equatable, Sendable {
    public let job: Job
    public let photo: Photo.Identifier
    public let origin: Photo.Origin
}

/// A file that was encoded for saving or sharing.
public struct EncodedFile: Hashable, Sendable {
    public typealias Location = URL

    /// What is in it.
    public struct Content: Hashable, Sendable {
        public let photo: Photo.Identifier
        public let result: Job
        public let edit: Edit

        public init(photo: Photo.Identifier, result: Job, edit: Edit) {
            (self.photo, self.result, self.edit) = (photo, result, edit)
        }
    }

    public let content: Content
    public let location: Location

    public init(content: Content, location: Location) { (self.content, self.location) = (content, location) }
}

/// The shown photo on its way out of the app.
public struct Delivery: Equatable, Sendable {
    public enum Purpose: Hashable, Sendable {
        case save
        case share
    }

    public enum Step: Equatable, Sendable {
        case encoding
        /// The library has it; this cannot be taken back.
        case saving(EncodedFile)
    }

    public let job: Job
    public let purpose: Purpose
    public internal(set) var step = Step.encoding
    /// Until iOS takes it back.
    var hasBackgroundTime = true
}
