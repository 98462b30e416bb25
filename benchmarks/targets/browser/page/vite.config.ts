import { defineConfig } from "vite";

// All paths are relative, because the page lies behind a token. The worker is a classic script: LiteRT.js loads its
// WebAssembly by importScripts, which modules do not have.
export default defineConfig({
  base: "./",
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: false, chunkSizeWarningLimit: 1000 },
  worker: { format: "iife" },
});
