/* Interfaces that Robolectric's own services implement; nothing calls them here. */
package androidx.test.internal.platform

interface ThreadChecker {
    fun checkMainThread()
    fun checkNotMainThread()
}
