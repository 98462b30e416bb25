import SwiftUI

/// Two pictures over each other, divided by a line that follows the finger.
struct BeforeAfterView: View {
    let before: CGImage
    let after: CGImage
    @State private var share = 0.5

    var body: some View {
        GeometryReader { room in
            ZStack {
                picture(after)
                picture(before)
                    .mask(alignment: .leading) { Rectangle().frame(width: room.size.width * share) }
                Rectangle()
                    .fill(.white)
                    .frame(width: 2)
                    .position(x: room.size.width * share, y: room.size.height / 2)
            }
            .contentShape(Rectangle())
            .gesture(
                DragGesture(minimumDistance: 0).onChanged { drag in
                    share = min(max(drag.location.x / max(room.size.width, 1), 0), 1)
                })
        }
        .accessibilityElement()
        .accessibilityLabel("Before and after")
        .accessibilityValue("\(Int(share * 100)) percent before")
        .accessibilityAdjustableAction { direction in
            share = min(max(share + (direction == .increment ? 0.1 : -0.1), 0), 1)
        }
    }

    private func picture(_ image: CGImage) -> some View {
        Image(decorative: image, scale: 1).resizable().scaledToFit().frame(maxWidth: .infinity, maxHeight: .infinity)
    }
}
