#if canImport(CoreML)
import Foundation
import PocketCore
import os

#if canImport(UIKit)
import UIKit
#endif

/// What the device says of itself. Nothing here identifies one device or its owner.
public enum DeviceState {
    /// Memory that the app may still take before the system ends it, in 10^6 bytes; nil where nobody says.
    public static var availableMemoryMb: Double? {
        #if os(iOS)
        let bytes = os_proc_available_memory()
        return bytes > 0 ? Double(bytes) / 1e6 : nil
        #else
        return nil
        #endif
    }

    /// The app's memory as the system counts it, now and at most so far, in 10^6 bytes.
    public static var memoryMb: (now: Double, peak: Double)? {
        var info = task_vm_info_data_t()
        var count = mach_msg_type_number_t(MemoryLayout<task_vm_info_data_t>.size / MemoryLayout<integer_t>.size)
        let status = withUnsafeMutablePointer(to: &info) { pointer in
            pointer.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                task_info(mach_task_self_, task_flavor_t(TASK_VM_INFO), $0, &count)
            }
        }
        guard status == KERN_SUCCESS else { return nil }
        return (Double(info.phys_footprint) / 1e6, Double(info.ledger_phys_footprint_peak) / 1e6)
    }

    public static var thermal: ReportThermal? {
        switch ProcessInfo.processInfo.thermalState {
        case .nominal: .nominal
        case .fair: .fair
        case .serious: .serious
        case .critical: .critical
        @unknown default: nil
        }
    }

    /// In a critical state iOS slows everything down: a photo can wait. Returns at once when its task is cancelled.
    public static func restWhileHot() async {
        while thermal == .critical, !Task.isCancelled {
            try? await Task.sleep(for: .seconds(2))
        }
    }

    /// For a report.
    @MainActor public static var now: ReportConditions.State {
        var battery: Double?
        var charging: Bool?
        #if canImport(UIKit)
        let device = UIDevice.current
        device.isBatteryMonitoringEnabled = true
        battery = device.batteryLevel >= 0 ? Double(device.batteryLevel) * 100 : nil
        charging = device.batteryState == .unknown ? nil : device.batteryState != .unplugged
        #endif
        return ReportConditions.State(
            thermal: thermal, batteryPercent: battery, charging: charging,
            lowPowerMode: ProcessInfo.processInfo.isLowPowerModeEnabled)
    }

    /// "iPhone16,1"; in the Simulator that of the device which is simulated.
    public static var model: String {
        if let simulated = ProcessInfo.processInfo.environment["SIMULATOR_MODEL_IDENTIFIER"] { return simulated }
        var system = utsname()
        uname(&system)
        return withUnsafeBytes(of: &system.machine) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    public static var isPhysical: Bool {
        #if targetEnvironment(simulator)
        return false
        #else
        return true
        #endif
    }

    public static var systemVersion: String {
        let version = ProcessInfo.processInfo.operatingSystemVersion
        #if os(iOS)
        let name = "iOS"
        #else
        let name = "macOS"
        #endif
        return "\(name) \(version.majorVersion).\(version.minorVersion).\(version.patchVersion)"
    }
}
#endif
