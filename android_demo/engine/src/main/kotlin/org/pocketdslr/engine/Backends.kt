package org.pocketdslr.engine

import org.pocketdslr.core.Artifact

/** A backend that passed its self-test. [notes]: in words, what was tried before and why it was not taken. */
class Opened(val engine: Engine, val backend: Backend, val notes: List<String>)

/** Opens an artifact on the first of [wishes] that works and passes the self-test: a GPU that fails gives way to the
 * CPU, and [Opened.notes] says so, for the user to see. */
class Backends(private val all: List<Backend>) {

    fun open(
        artifact: Artifact, wishes: List<Accelerator> = listOf(Accelerator.GPU, Accelerator.CPU), threads: Int = 4,
    ): Opened {
        val fitting = all.filter { it.format == artifact.manifest.format }
        val notes = ArrayList<String>()
        for (accelerator in wishes) for (backend in fitting) {
            try {
                val engine = backend.open(artifact, accelerator, threads)
                try {
                    SelfTest(artifact).require(engine)
                } catch (error: Throwable) {
                    engine.close()
                    throw error
                }
                return Opened(engine, backend, notes)
            } catch (error: EngineException) {
                notes += "${backend.name} on $accelerator: ${error.message}"
            }
        }
        val why = if (fitting.isEmpty()) "no runtime here takes ${artifact.manifest.format}" else notes.joinToString("; ")
        throw EngineException("${artifact.manifest.name} cannot run: $why")
    }
}
