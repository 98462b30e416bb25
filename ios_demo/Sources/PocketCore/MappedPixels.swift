import Foundation

/// Pixels in a file that is mapped into memory: 48 MP take 195 MB of disk and hardly any memory of the app.
///
/// iOS ends an app that holds too much memory, and pages of a mapped file do not count: they are written back and
/// dropped when memory is short. The file has no name, so nothing is left behind, however the app ends.
public final class MappedPixels: @unchecked Sendable {
    public enum Failure: Error, Equatable, Sendable {
        case noSpace
        case cannotMap(errno: Int32)
    }

    public let bytes: UnsafeMutableRawBufferPointer

    public init(byteCount: Int, in folder: URL) throws {
        var name = Array(folder.appendingPathComponent("pixels-XXXXXX").path.utf8CString)
        let file = mkstemp(&name)
        guard file >= 0 else { throw Failure.cannotMap(errno: errno) }
        defer { close(file) }
        unlink(name)
        try Self.fill(file, byteCount)
        let start = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        guard let start, start != MAP_FAILED else { throw Failure.cannotMap(errno: errno) }
        bytes = UnsafeMutableRawBufferPointer(start: start, count: byteCount)
    }

    deinit { munmap(bytes.baseAddress, bytes.count) }

    /// Takes the space now: where a page cannot be written back later, the system would end the app.
    private static func fill(_ file: Int32, _ byteCount: Int) throws {
        let zeros = [UInt8](repeating: 0, count: min(byteCount, 1 << 20))
        var left = byteCount
        while left > 0 {
            let written = write(file, zeros, min(left, zeros.count))
            guard written > 0 else { throw errno == ENOSPC ? Failure.noSpace : .cannotMap(errno: errno) }
            left -= written
        }
    }
}
