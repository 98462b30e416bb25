/// Saving and sharing. Strength and place are read when the file is finished, not when the photo was enhanced: a file
/// that is not what the screen shows by then is made again.
extension AppState {
    mutating func applyToDelivery(_ event: AppEvent) -> [AppEffect] {
        switch event {
        case .save: return deliver(.save)
        case .share: return deliver(.share)
        case .shareEnded: return endSharing()
        case .encoded(let job, let file): return take(file, of: job)
        case .encodeFailed(let job, let sentence), .saveFailed(let job, let sentence):
            return finish(job, .failed(sentence))
        case .saved(let job): return finish(job, .saved)
        default: return []
        }
    }

    /// Unless the library has it already: that cannot be stopped.
    mutating func dropDelivery(saying notice: Notice?) -> [AppEffect] {
        guard let delivery, delivery.step == .encoding else { return [] }
        (self.delivery, self.notice) = (nil, notice)
        return [.stop(delivery.job)] + backgroundTimeEnds(delivery)
    }

    mutating func endSharing() -> [AppEffect] {
        guard let file = shared else { return [] }
        shared = nil
        return [.discard(file)]
    }

    mutating func expireDelivery(_ job: Job) -> [AppEffect] {
        guard delivery?.job == job, delivery?.hasBackgroundTime == true else { return [] }
        let effects = dropDelivery(saying: .saveInterrupted)
        if !effects.isEmpty { return effects }
        delivery?.hasBackgroundTime = false
        return [.endBackgroundTime(job)]
    }

    private mutating func deliver(_ purpose: Delivery.Purpose) -> [AppEffect] {
        guard canDeliver, let content = shownContent else { return [] }
        let next = Delivery(job: nextJob(), purpose: purpose)
        (delivery, notice) = (next, nil)
        return [.beginBackgroundTime(next.job), .encode(next.job, content)]
    }

    private mutating func take(_ file: EncodedFile, of job: Job) -> [AppEffect] {
        guard let delivery, delivery.job == job, delivery.step == .encoding, let shown = shownContent else {
            return [.discard(file)]
        }
        guard file.content == shown else { return [.discard(file), .encode(job, shown)] }
        switch delivery.purpose {
        case .save:
            self.delivery?.step = .saving(file)
            return [.save(job, file)]
        case .share:
            (self.delivery, shared) = (nil, file)
            return backgroundTimeEnds(delivery)
        }
    }

    private mutating func finish(_ job: Job, _ notice: Notice) -> [AppEffect] {
        guard let delivery, delivery.job == job else { return [] }
        (self.delivery, self.notice) = (nil, notice)
        guard case .saving(let file) = delivery.step else { return backgroundTimeEnds(delivery) }
        return [.discard(file)] + backgroundTimeEnds(delivery)
    }

    private func backgroundTimeEnds(_ delivery: Delivery) -> [AppEffect] {
        delivery.hasBackgroundTime ? [.endBackgroundTime(delivery.job)] : []
    }
}
