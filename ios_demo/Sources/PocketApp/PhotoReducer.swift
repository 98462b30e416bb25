/// A photo on its way to the screen. The one that is shown stays until the next has arrived.
extension AppState {
    mutating func applyToPhoto(_ event: AppEvent) -> [AppEffect] {
        switch event {
        case .picked(let id, let origin):
            return pick(id, origin)
        case .loaded(let job, let picture):
            guard let load, load.job == job else { return [] }
            return show(load, picture)
        case .loadFailed(let job, let sentence):
            guard let load, load.job == job else { return [] }
            (self.load, notice) = (nil, .failed(sentence))
            return [.forget(load.photo)]
        case .originalSaved(let job):
            if photo?.originalJob == job { photo?.originalJob = nil }
        case .originalFailed(let job, let sentence):
            notice = .failed(sentence)  // also of a photo that is no longer shown: it would be lost unsaid
            if photo?.originalJob == job { photo?.originalJob = nil }
        default: break
        }
        return []
    }

    private mutating func pick(_ id: Int, _ origin: Photo.Origin) -> [AppEffect] {
        guard measurement == nil else {
            notice = .busy
            return [.forget(id)]
        }
        let effects: [AppEffect] = load.map { [.stop($0.job), .forget($0.photo)] } ?? []
        let next = Load(job: nextJob(), photo: id, origin: origin)
        (load, notice) = (next, nil)
        return effects + [.load(next.job, id)]
    }

    private mutating func show(_ load: Load, _ picture: Picture) -> [AppEffect] {
        var effects = dropDelivery(saying: .notSaved) + endSharing()
        if let photo { effects.append(.forget(photo.id)) }
        var next = Photo(id: load.photo, before: picture)
        if load.origin == .camera {
            let job = nextJob()
            next.originalJob = job
            effects.append(.saveOriginal(job, next.id))
        }
        (photo, self.load, wantsEnhancement, isPaused) = (next, nil, false, false)
        return effects
    }
}
