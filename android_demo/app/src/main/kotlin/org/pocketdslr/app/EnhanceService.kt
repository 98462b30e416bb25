package org.pocketdslr.app

import android.app.Notification
import android.app.NotificationChannel
import android.app.NotificationManager
import android.app.Service
import android.content.Context
import android.content.Intent
import android.os.Build
import android.util.Log
import org.pocketdslr.app.presenter.foregroundType

/** Keeps the process alive while a photo is enhanced and the user looks elsewhere. The work itself is the presenter's. */
class EnhanceService : Service() {
    override fun onBind(intent: Intent?) = null

    override fun onStartCommand(intent: Intent?, flags: Int, startId: Int): Int {
        val channel = NotificationChannel(CHANNEL, getString(R.string.app_name), NotificationManager.IMPORTANCE_LOW)
        getSystemService(NotificationManager::class.java).createNotificationChannel(channel)
        val notification = Notification.Builder(this, CHANNEL).setSmallIcon(R.drawable.ic_photo)
            .setContentTitle(getString(R.string.enhancing)).setOngoing(true).build()
        val type = foregroundType(Build.VERSION.SDK_INT)
        if (type == null) startForeground(1, notification) else startForeground(1, notification, type)
        if (intent?.action == STOP) {
            stopForeground(STOP_FOREGROUND_REMOVE)
            stopSelf(startId)
        }
        return START_NOT_STICKY // after process death the user is asked, see Job.left
    }

    override fun onTimeout(startId: Int, type: Int) = stopSelf()

    companion object {
        private const val CHANNEL = "enhancing"
        private const val STOP = "stop"

        fun start(context: Context) = send(context, null)

        /** By a command, not by stopService: a service that is stopped before it was in the foreground crashes the app. */
        fun stop(context: Context) = send(context, STOP)

        /** Refused while the app is in the background: then the work goes on as long as the system lets it. */
        private fun send(context: Context, action: String?) {
            try {
                context.startForegroundService(Intent(context, EnhanceService::class.java).setAction(action))
            } catch (error: IllegalStateException) {
                Log.i("PocketDSLR", "no foreground service: ${error.message}")
            }
        }
    }
}
