import PhotosUI
import PocketApple
import PocketCore
import SwiftUI

struct EnhanceScreen: View {
    @Environment(Session.self) private var session
    @State private var model = EnhanceModel()
    @State private var picked: PhotosPickerItem?
    @State private var showsCamera = false

    var body: some View {
        NavigationStack {
            VStack(spacing: 16) {
                picture
                status
                controls
            }
            .padding()
            .navigationTitle("Pocket DSLR")
            .toolbar { sources }
            .onChange(of: picked) { _, item in
                guard let item, let ready = session.ready else { return }
                Task {
                    if let content = try? await item.loadTransferable(type: Data.self) { model.take(content, ready) }
                }
            }
            .fullScreenCover(isPresented: $showsCamera) {
                CameraPicker { content in
                    showsCamera = false
                    if let content, let ready = session.ready { model.take(content, ready) }
                }
                .ignoresSafeArea()
            }
        }
    }

    @ViewBuilder private var picture: some View {
        if let before = model.before {
            BeforeAfterView(before: before, after: model.after ?? before)
        } else {
            ContentUnavailableView(
                "No photo yet", systemImage: "photo", description: Text("Choose one or take one. It stays here."))
        }
    }

    @ViewBuilder private var status: some View {
        if !session.phase.isReady { PhaseView(phase: session.phase) }
        switch model.stage {
        case .previewing:
            ProgressView("Preview")
        case .enhancing(let share):
            ProgressView("Full resolution", value: share)
        case .failed(let sentence):
            Label(sentence, systemImage: "exclamationmark.triangle").foregroundStyle(.red)
        case .empty, .done:
            ForEach(model.notes, id: \.self) { Text($0).font(.footnote) }
            if let message = model.message { Text(message).font(.footnote) }
        }
        if DeviceState.thermal == .serious || DeviceState.thermal == .critical {
            Label("The device is hot and works slower.", systemImage: "thermometer.high").font(.footnote)
        }
    }

    @ViewBuilder private var controls: some View {
        if model.before != nil {
            LabeledContent("Strength") {
                Slider(value: $model.strength, in: 0...1) { Text("Strength") }
            }
            .disabled(model.isBusy)
            Toggle("Remove the place from the result", isOn: $model.removesPlace).disabled(model.isBusy)
            HStack {
                if model.isBusy {
                    Button("Cancel", role: .cancel) { model.cancel() }
                } else {
                    Button("Enhance") { if let ready = session.ready { model.enhance(ready) } }
                        .buttonStyle(.borderedProminent)
                        .disabled(session.ready == nil)
                }
                if let file = model.file {
                    Button("Save") { Task { await model.save() } }
                    ShareLink(item: file)
                }
            }
        }
    }

    @ToolbarContentBuilder private var sources: some ToolbarContent {
        ToolbarItemGroup(placement: .topBarTrailing) {
            Button("Camera", systemImage: "camera") { showsCamera = true }
                .disabled(session.ready == nil || !CameraPicker.isAvailable)
            PhotosPicker(selection: $picked, matching: .images, preferredItemEncoding: .current) {
                Label("Choose a photo", systemImage: "photo.on.rectangle")
            }
            .disabled(session.ready == nil)
        }
    }
}
