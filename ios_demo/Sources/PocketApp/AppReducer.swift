import PocketCore

extension AppState {
    /// The one place where the app decides. Returns what is to be done, in order.
    public mutating func apply(_ event: AppEvent) -> [AppEffect] {
        let effects =
            switch event {
            case .picked, .loaded, .loadFailed, .originalSaved, .originalFailed: applyToPhoto(event)
            case .save, .share, .shareEnded, .encoded, .encodeFailed, .saved, .saveFailed: applyToDelivery(event)
            case .background, .foreground, .expired: applySystem(event)
            case .phase, .progressed, .ended: applyToEngine(event)
            default: applyControl(event)
            }
        return effects + schedule()
    }

    mutating func nextJob() -> Job {
        lastJob += 1
        return Job(number: lastJob)
    }

    private mutating func applyControl(_ event: AppEvent) -> [AppEffect] {
        switch event {
        case .enhance:
            if measurement != nil { notice = .busy }
            guard canEnhance else { return [] }
            (wantsEnhancement, notice) = (true, nil)
        case .strength(let value):
            guard let strength = Strength(Float(value)) else { return [] }
            return change(Edit(strength: strength, removesPlace: edit.removesPlace))
        case .removesPlace(let removes):
            return change(Edit(strength: edit.strength, removesPlace: removes))
        case .cancelled:
            return cancel()
        case .modelChosen(let choice):
            if !model.isReady { opened = nil }  // once more, where it failed
            self.choice = choice
        case .measure(let asked):
            if canMeasure { (measurement, report, notice) = (asked, nil, nil) } else { notice = .busy }
        case .measurementCancelled:
            measurement = nil
        default: break
        }
        return []
    }

    private mutating func applySystem(_ event: AppEvent) -> [AppEffect] {
        switch event {
        case .background:
            isInBackground = true
            if measurement != nil { (measurement, notice) = (nil, .measurementStopped) }
            return [.limitEngine(toBackground: true)]
        case .foreground:
            isInBackground = false
            if isPaused { (isPaused, notice) = (false, .startedAgain) }
            return [.limitEngine(toBackground: false)]
        case .expired(let job):
            if case .running(let work) = engine, work.job == job {
                (isPaused, notice) = (isInBackground, isInBackground ? .paused : .startedAgain)
                return halt(work)
            }
            return expireDelivery(job)
        default: return []
        }
    }

    private mutating func cancel() -> [AppEffect] {
        var effects = dropDelivery(saying: nil)
        if let load { effects += [.stop(load.job), .forget(load.photo)] }
        (load, wantsEnhancement, isPaused, notice) = (nil, false, false, nil)
        photo?.wantsPreview = false
        return effects
    }

    private mutating func change(_ edit: Edit) -> [AppEffect] {
        guard edit != self.edit else { return [] }
        self.edit = edit
        return endSharing()
    }
}
