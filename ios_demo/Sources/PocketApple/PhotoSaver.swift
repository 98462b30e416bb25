#if canImport(CoreML) && canImport(Photos)
import Foundation
import Photos
import PocketCore

/// Adds finished files to the photo library; the app never reads the library.
public enum PhotoSaver {
    /// Raises `PhotoFailure`.
    public static func add(_ file: URL) async throws {
        let status = await PHPhotoLibrary.requestAuthorization(for: .addOnly)
        guard status == .authorized || status == .limited else { throw PhotoFailure.notAllowed }
        do {
            try await PHPhotoLibrary.shared().performChanges {
                PHAssetCreationRequest.forAsset().addResource(with: .photo, fileURL: file, options: nil)
            }
        } catch {
            throw PhotoFailure.notWritten
        }
    }
}
#endif
