import PocketCore

/// One user of the model at a time: work that is wanted no more is told to stop, and the next begins once it answered.
extension AppState {
    /// What the engine should be doing now.
    var nextTask: EngineTask? {
        if let choice, choice != opened { return .open(choice) }
        guard model.isReady else { return nil }
        if let measurement { return .measure(measurement) }
        guard let photo, photo.originalJob == nil, !isPaused else { return nil }
        if wantsEnhancement { return .enhance(photo.id) }
        return photo.wantsPreview && !isInBackground ? .preview(photo.id) : nil
    }

    mutating func schedule() -> [AppEffect] {
        switch engine {
        case .idle:
            guard let task = nextTask else { return [] }
            let work = EngineWork(job: nextJob(), task: task)
            engine = .running(work)
            let time: [AppEffect] = task.needsBackgroundTime ? [.beginBackgroundTime(work.job)] : []
            return time + [.run(work.job, task)]
        case .running(let work):
            return work.task == nextTask ? [] : halt(work)
        case .stopping:
            return []
        }
    }

    /// Its time in the background ends with it, and with nothing else.
    mutating func halt(_ work: EngineWork) -> [AppEffect] {
        engine = .stopping(work.job)
        return [.stop(work.job)] + backgroundTimeEnds(work)
    }

    mutating func applyToEngine(_ event: AppEvent) -> [AppEffect] {
        switch event {
        case .phase(let job, let phase):
            if runs(job) { model = phase }
        case .progressed(let job, let share):
            if case .running(var work) = engine, work.job == job {
                work.share = share
                engine = .running(work)
            }
        case .ended(let job, let outcome):
            if engine == .stopping(job) { engine = .idle }
            guard case .running(let work) = engine, work.job == job else { return [] }
            engine = .idle
            return accept(outcome, of: work) + backgroundTimeEnds(work)
        default: break
        }
        return []
    }

    private func runs(_ job: Job) -> Bool {
        if case .running(let work) = engine { return work.job == job }
        return false
    }

    private func backgroundTimeEnds(_ work: EngineWork) -> [AppEffect] {
        work.task.needsBackgroundTime ? [.endBackgroundTime(work.job)] : []
    }

    private mutating func accept(_ outcome: AppEvent.Outcome, of work: EngineWork) -> [AppEffect] {
        settle(work.task)
        switch outcome {
        case .opened(let phase):
            model = phase
        case .previewed(let picture):
            photo?.after = picture
        case .enhanced(let picture, let notes):
            photo?.after = picture
            photo?.notes = notes
            photo?.result = work.job
            photo?.resultModel = opened
            notice = nil
            return endSharing()
        case .measured(let report):
            self.report = report
        case .failed(let sentence):
            notice = .failed(sentence)
        }
        return []
    }

    /// What was wanted has been tried: it is wanted no more, however it went.
    private mutating func settle(_ task: EngineTask) {
        switch task {
        case .open(let choice): opened = choice
        case .preview: photo?.wantsPreview = false
        case .enhance:
            wantsEnhancement = false
            photo?.wantsPreview = false
        case .measure: measurement = nil
        }
    }
}
