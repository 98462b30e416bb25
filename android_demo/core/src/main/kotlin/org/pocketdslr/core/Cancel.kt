package org.pocketdslr.core

/** Work was stopped by the one who asked for it; not a failure. */
class CancelledException : RuntimeException("cancelled")

/** Set from any thread; the work looks at it between tiles. */
class Cancel {
    @Volatile
    var isSet = false
        private set

    fun set() {
        isSet = true
    }

    fun check() {
        if (isSet) throw CancelledException()
    }
}
