plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "org.pocketdslr.app"
    compileSdk = libs.versions.compile.sdk.get().toInt()
    defaultConfig {
        applicationId = "org.pocketdslr.app"
        minSdk = libs.versions.min.sdk.get().toInt()
        targetSdk = libs.versions.target.sdk.get().toInt()
        versionCode = libs.versions.version.code.get().toInt()
        versionName = libs.versions.version.name.get()
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }
    testOptions.unitTests.all { it.useJUnitPlatform() }
}

kotlin { jvmToolchain(17) }

dependencies {
    implementation(project(":engine"))
    testImplementation(libs.junit)
    testRuntimeOnly(libs.junit.launcher)
}

/** Copies the artifacts that the converters made into the app's assets. */
abstract class CopyArtifacts : DefaultTask() {
    @get:InputFiles
    abstract val made: ConfigurableFileCollection

    @get:OutputDirectory
    abstract val assets: DirectoryProperty

    @get:Inject
    abstract val files: FileSystemOperations

    @TaskAction
    fun copy() {
        val folders = made.files.filter { it.resolve("manifest.json").isFile }
        if (folders.isEmpty()) {
            throw GradleException(
                "No artifact in build/artifacts. Make it in the folder above with:\n" +
                    "  python conversion/to_executorch.py --checkpoint pocket-clean --out android_demo/build/artifacts",
            )
        }
        files.sync {
            into(assets)
            folders.forEach { folder -> from(folder) { into("artifacts/${folder.name}") } }
        }
    }
}

val copyArtifacts = tasks.register<CopyArtifacts>("copyArtifacts") {
    made.from(provider { rootDir.resolve("build/artifacts").listFiles().orEmpty().toList() })
}

androidComponents {
    onVariants { variant -> variant.sources.assets?.addGeneratedSourceDirectory(copyArtifacts, CopyArtifacts::assets) }
}
