import PocketCore

/// Takes events one after the other, has the state decide, and has the services do what it decided.
@MainActor public final class AppLoop {
    public private(set) var state = AppState()
    /// Called with the state after every event: whoever draws keeps it.
    public var onChange: (AppState) -> Void = { _ in }
    private let services: AppServices
    private var tasks: [Job: Task<Void, Never>] = [:]
    private var contents: [Photo.Identifier: any PhotoContent] = [:]
    private var photosPicked = 0

    public init(_ services: AppServices) { self.services = services }

    public func pick(_ content: any PhotoContent, from origin: Photo.Origin) {
        photosPicked += 1
        contents[photosPicked] = content
        send(.picked(photosPicked, origin))
    }

    public func send(_ event: AppEvent) {
        for effect in state.apply(event) { perform(effect) }
        onChange(state)
        if case .progressed(let job, let share) = event { services.backgroundTime.report(job, share: share) }
    }

    private func perform(_ effect: AppEffect) {
        let (photos, engine) = (services.photos, services.engine)
        switch effect {
        case .load(let job, let photo):
            guard let content = contents.removeValue(forKey: photo) else { return }
            answer(job) {
                .loaded(job, try await photos.load(content, as: photo))
            } failed: {
                .loadFailed(job, $0)
            }
        case .saveOriginal(let job, let photo):
            answer(job) {
                try await photos.saveOriginal(of: photo)
                return .originalSaved(job)
            } failed: {
                .originalFailed(job, $0)
            }
        case .run(let job, let task): run(task, as: job)
        case .encode(let job, let content):
            answer(job) {
                .encoded(job, try await photos.encode(content))
            } failed: {
                .encodeFailed(job, $0)
            }
        case .save(let job, let file):
            answer(job) {
                try await photos.save(file)
                return .saved(job)
            } failed: {
                .saveFailed(job, $0)
            }
        case .stop(let job): tasks[job]?.cancel()
        case .discard(let file): Task { await photos.discard(file) }
        case .forget(let photo):
            contents[photo] = nil
            Task { await photos.forget(photo) }
        case .beginBackgroundTime(let job):
            services.backgroundTime.begin(job) { [weak self] in self?.send(.expired(job)) }
        case .endBackgroundTime(let job): services.backgroundTime.end(job)
        case .limitEngine(let toBackground): Task { await engine.limit(toBackground: toBackground) }
        }
    }

    private func run(_ task: EngineTask, as job: Job) {
        let engine = services.engine
        let progress: @Sendable (Double) async -> Void = { [weak self] share in
            await self?.send(.progressed(job, share: share))
        }
        let phase: @Sendable (ModelPhase) async -> Void = { [weak self] phase in await self?.send(.phase(job, phase)) }
        answer(job) {
            let outcome: AppEvent.Outcome =
                switch task {
                case .open(let choice): .opened(await engine.open(choice, phase: phase))
                case .preview(let photo): .previewed(try await engine.preview(photo))
                case .enhance(let photo): try await enhanced(photo)
                case .measure(let measurement): .measured(try await engine.measure(measurement, progress: progress))
                }
            return .ended(job, outcome)
        } failed: {
            .ended(job, .failed($0))
        }

        @Sendable func enhanced(_ photo: Photo.Identifier) async throws -> AppEvent.Outcome {
            let result = try await engine.enhance(photo, result: job, progress: progress)
            return .enhanced(result.picture, notes: result.notes)
        }
    }

    /// Runs `body` away from the main actor, and sends what it answers, or its error.
    private func answer(
        _ job: Job, _ body: @escaping @Sendable () async throws -> AppEvent,
        failed: @escaping @Sendable (String) -> AppEvent
    ) {
        tasks[job] = Task.detached { [weak self] in
            let event: AppEvent
            do {
                event = try await body()
            } catch is CancellationError {
                event = failed(Notice.stopped.sentence)
            } catch {
                event = failed(sentence(of: error))
            }
            await self?.finish(job, event)
        }
    }

    private func finish(_ job: Job, _ event: AppEvent) {
        tasks[job] = nil
        send(event)
    }
}
