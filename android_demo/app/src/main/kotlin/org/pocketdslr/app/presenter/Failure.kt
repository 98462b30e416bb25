package org.pocketdslr.app.presenter

import org.pocketdslr.core.ArtifactException
import org.pocketdslr.engine.EngineException
import java.io.FileNotFoundException
import java.io.IOException

/** What can go wrong, as the user must know it; each has one sentence in strings.xml. */
enum class Failure {
    PHOTO_GONE, PHOTO_UNREADABLE, DISK_FULL, MODEL_BROKEN, RUNTIME_FAILED, MEMORY, UNKNOWN;

    companion object {
        fun of(error: Throwable): Failure = when (error) {
            // Access to a photo is lent, and taken back when it is deleted or the grant ends.
            is SecurityException, is FileNotFoundException -> PHOTO_GONE
            is ArtifactException -> MODEL_BROKEN
            is EngineException -> RUNTIME_FAILED
            is OutOfMemoryError -> MEMORY
            is IOException -> if (generateSequence<Throwable>(error) { it.cause }.any { "ENOSPC" in "${it.message}" }) DISK_FULL
            else PHOTO_UNREADABLE
            else -> UNKNOWN
        }
    }
}
