plugins {
    alias(libs.plugins.android.library)
}

android {
    namespace = "org.pocketdslr.engine"
    compileSdk = libs.versions.compile.sdk.get().toInt()
    defaultConfig { minSdk = libs.versions.min.sdk.get().toInt() }
    testOptions.unitTests.all {
        it.useJUnitPlatform()
        it.systemProperty("contract.vectors", rootDir.resolve("../conversion/contract/vectors").path)
    }
}

kotlin { jvmToolchain(17) }

dependencies {
    api(project(":core"))
    implementation(libs.executorch)
    implementation(libs.litert)
    implementation(libs.litert.gpu)
    testImplementation(libs.junit)
    testRuntimeOnly(libs.junit.launcher)
}
