package org.pocketdslr.app.presenter

/** `ServiceInfo.FOREGROUND_SERVICE_TYPE_*`, without Android. */
const val DATA_SYNC = 1
const val MEDIA_PROCESSING = 1 shl 13

/**
 * As what a service that enhances a photo comes to the foreground, by Android's API level; null where none is asked for.
 *
 * Media processing exists from Android 15 (35) on. Android 14 (34) wants a type and ends an app that names an unknown one.
 */
fun foregroundType(api: Int): Int? = when {
    api >= 35 -> MEDIA_PROCESSING
    api >= 29 -> DATA_SYNC
    else -> null
}
