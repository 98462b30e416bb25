package org.pocketdslr.app

import android.content.ContentProvider
import android.content.ContentValues
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException

/** Lends single files of one cache folder to other apps: photos and reports to share, and the camera's target. */
class SharedFiles : ContentProvider() {
    override fun onCreate() = true

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor =
        ParcelFileDescriptor.open(file(uri), ParcelFileDescriptor.parseMode(mode))

    override fun getType(uri: Uri) = when (uri.lastPathSegment?.substringAfterLast('.')) {
        "jpg" -> "image/jpeg"
        "png" -> "image/png"
        "json" -> "application/json"
        else -> "application/octet-stream"
    }

    override fun query(uri: Uri, columns: Array<String>?, where: String?, arguments: Array<String>?, order: String?): Cursor =
        MatrixCursor(arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE)).apply {
            addRow(arrayOf<Any>(file(uri).name, file(uri).length()))
        }

    /** Only plain names: nothing outside the folder can be asked for. */
    private fun file(uri: Uri): File {
        val name = uri.pathSegments.singleOrNull() ?: throw FileNotFoundException("$uri")
        if (!Regex("[a-z0-9-]+\\.[a-z]+").matches(name)) throw FileNotFoundException("$uri")
        return File(File(context!!.cacheDir, FOLDER), name)
    }

    override fun insert(uri: Uri, values: ContentValues?) = null

    override fun update(uri: Uri, values: ContentValues?, where: String?, arguments: Array<String>?) = 0

    override fun delete(uri: Uri, where: String?, arguments: Array<String>?) = 0

    companion object {
        const val FOLDER = "shared"
        private const val AUTHORITY = "org.pocketdslr.app.files"

        fun uri(name: String): Uri = Uri.parse("content://$AUTHORITY/$name")
    }
}
