package org.pocketdslr.app

import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.Debug
import android.os.PowerManager
import org.pocketdslr.engine.Condition
import org.pocketdslr.engine.Device
import org.pocketdslr.engine.Thermal
import java.time.Instant
import java.time.temporal.ChronoUnit

/** This phone: its model and build, never a serial number or an account. */
class PhoneDevice(private val context: Context) : Device {
    private val power = context.getSystemService(PowerManager::class.java)

    override val name = "${Build.MANUFACTURER} ${Build.MODEL}"
    override val cpu = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) "${Build.SOC_MANUFACTURER} ${Build.SOC_MODEL}" else Build.HARDWARE
    override val os = "Android ${Build.VERSION.RELEASE}"
    override val facts = mapOf(
        "model" to Build.MODEL, "build" to Build.DISPLAY, "api_level" to Build.VERSION.SDK_INT.toString(),
        "abi" to Build.SUPPORTED_ABIS.first(), "cores" to Runtime.getRuntime().availableProcessors().toString(),
    )

    override fun condition(): Condition {
        val battery = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
        fun battery(name: String) = battery?.getIntExtra(name, -1)?.takeIf { it >= 0 }
        val level = battery(BatteryManager.EXTRA_LEVEL)
        val scale = battery(BatteryManager.EXTRA_SCALE)?.takeIf { it > 0 }
        return Condition(
            if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) Thermal.ofStatus(power.currentThermalStatus) else null,
            battery(BatteryManager.EXTRA_TEMPERATURE)?.let { it / 10.0 },
            if (level != null && scale != null) 100.0 * level / scale else null,
            battery(BatteryManager.EXTRA_PLUGGED)?.let { it != 0 }, power.isPowerSaveMode,
        )
    }

    override fun memoryMb(): Double = Debug.MemoryInfo().also { Debug.getMemoryInfo(it) }.totalPss * 1024 / 1e6

    override fun date(): String = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString()

    override fun sleep(seconds: Double) = Thread.sleep((seconds * 1000).toLong())

    override fun nanoTime() = System.nanoTime()
}
