// runner FOLDER: run one model on tiles of photos, on a phone. No torch, no Python, no JSON.
//
// FOLDER holds
//   job            lines `key value...`: model, threads; for E = analyze, enhance: E.function, E.inputs, E.outputs,
//                  E.layout (NCHW or NHWC); type (float32 or uint8), thumbnail_px, tile_px, halo_px; tiles (how many of
//                  each photo); warm_up, runs, cool_down_s, sustained_s, window_s
//   thumbnails     uint8 RGB, [photos, thumbnail_px, thumbnail_px, 3]
//   tiles          uint8 RGB, [all tiles, tile_px, tile_px, 3]
// and gains
//   outputs        of every tile, as the model made it: type and layout of the artifact
//   result         lines `key value...`, times in seconds, memory in KiB; the last is `done <bytes of outputs>`
// A sustained run says `window <p50_s>` on stdout at the end of every window. On failure: one sentence on stderr, exit
// code 1.
//
// A call takes 8-bit pixels and gives 8-bit pixels, as in an app, so conversion is part of its time and its
// instructions. Around each measured call is a mark for the plugin of instructions.c: a system call without effect.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "model.h"

namespace {

using Clock = std::chrono::steady_clock;
using Bytes = std::vector<uint8_t>;

constexpr size_t kAnalyze = 0, kEnhance = 1;
constexpr size_t kTile = 0;                              // the first input of enhance; the condition follows
constexpr long kMagic = 0x1c0de;                         // as in instructions.c
enum Mark : long { kAnalyzeMark = 1, kEnhanceMark = 2 };  // one before each call and one after it
constexpr double kShortestWindow = 1e-3;

void mark(Mark which) { syscall(SYS_getppid, kMagic, static_cast<long>(which)); }

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

class Job {
 public:
  explicit Job(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw RunnerError("cannot read " + path);
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string key;
      words >> key;
      for (std::string word; words >> word;) values_[key].push_back(word);
    }
  }
  const std::vector<std::string>& list(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) throw RunnerError("the job has no " + key);
    return found->second;
  }
  const std::string& text(const std::string& key) const { return list(key).front(); }
  double number(const std::string& key) const { return std::stod(text(key)); }
  size_t count(const std::string& key) const { return std::stoul(text(key)); }
  EntryPoint entry(const std::string& name) const {
    return {text(name + ".function"), list(name + ".inputs"), list(name + ".outputs")};
  }

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

Bytes read_file(const std::string& path, size_t bytes) {
  std::ifstream file(path, std::ios::binary);
  Bytes data(bytes);
  if (!file.read(reinterpret_cast<char*>(data.data()), bytes) || file.peek() != EOF)
    throw RunnerError(path + " has not " + std::to_string(bytes) + " bytes");
  return data;
}

long memory_kib(const char* key) {  // such as VmHWM: the largest resident memory so far
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind(key, 0) == 0) return std::stol(line.substr(std::strlen(key) + 1));
  return 0;
}

// How pixels enter the model and leave it.
struct Images {
  bool planes;   // NCHW
  bool floats;   // float32 in [0, 1], else uint8
  size_t size(size_t side) const { return 3 * side * side * (floats ? sizeof(float) : 1); }

  // [side, side, 3] uint8 -> the model's tensor.
  void enter(const uint8_t* rgb, size_t side, void* tensor) const {
    const size_t pixels = side * side;
    if (!floats && !planes) {
      std::memcpy(tensor, rgb, 3 * pixels);
    } else if (!floats) {
      auto* to = static_cast<uint8_t*>(tensor);
      for (size_t at = 0; at < pixels; at++)
        for (size_t c = 0; c < 3; c++) to[c * pixels + at] = rgb[3 * at + c];
    } else if (planes) {
      auto* red = static_cast<float*>(tensor);
      auto *green = red + pixels, *blue = green + pixels;
      for (size_t at = 0; at < pixels; at++) {
        red[at] = rgb[3 * at] / 255.0f;  // a true division, as on the host: the same bits
        green[at] = rgb[3 * at + 1] / 255.0f;
        blue[at] = rgb[3 * at + 2] / 255.0f;
      }
    } else {
      auto* to = static_cast<float*>(tensor);
      for (size_t at = 0; at < 3 * pixels; at++) to[at] = rgb[at] / 255.0f;
    }
  }

  // The model's tensor -> what a tile keeps, [side - 2 halo, side - 2 halo, 3] uint8.
  void leave(const void* tensor, size_t side, size_t halo, uint8_t* rgb) const {
    const size_t kept = side - 2 * halo, pixels = side * side;
    for (size_t row = 0; row < kept; row++, rgb += 3 * kept) {
      const size_t start = (row + halo) * side + halo;
      if (!floats && !planes) {
        std::memcpy(rgb, static_cast<const uint8_t*>(tensor) + 3 * start, 3 * kept);
      } else if (!floats) {
        const auto* from = static_cast<const uint8_t*>(tensor) + start;
        for (size_t at = 0; at < kept; at++)
          for (size_t c = 0; c < 3; c++) rgb[3 * at + c] = from[c * pixels + at];
      } else if (planes) {
        const auto* red = static_cast<const float*>(tensor) + start;
        const auto *green = red + pixels, *blue = green + pixels;
        for (size_t at = 0; at < kept; at++) {
          rgb[3 * at] = eight_bits(red[at]);
          rgb[3 * at + 1] = eight_bits(green[at]);
          rgb[3 * at + 2] = eight_bits(blue[at]);
        }
      } else {
        const auto* from = static_cast<const float*>(tensor) + 3 * start;
        for (size_t at = 0; at < 3 * kept; at++) rgb[at] = eight_bits(from[at]);
      }
    }
  }

 private:
  static uint8_t eight_bits(float value) {
    const float scaled = value * 255.0f + 0.5f;  // floor by truncation, as it is clamped to what is not negative
    return static_cast<uint8_t>(static_cast<int32_t>(scaled < 0.0f ? 0.0f : scaled > 255.0f ? 255.0f : scaled));
  }
};

class Bench {
 public:
  Bench(const std::string& folder, const Job& job)
      : job_(job),
        folder_(folder),
        analyze_images_{job.text("analyze.layout") == "NCHW", job.text("type") == "float32"},
        enhance_images_{job.text("enhance.layout") == "NCHW", job.text("type") == "float32"},
        thumbnail_px_(job.count("thumbnail_px")),
        tile_px_(job.count("tile_px")),
        halo_px_(job.count("halo_px")) {
    for (const std::string& tiles : job.list("tiles")) tiles_of_photo_.push_back(std::stoul(tiles));
    size_t tiles = 0;
    for (size_t count : tiles_of_photo_) tiles += count;
    thumbnails_ = read_file(folder + "/thumbnails", tiles_of_photo_.size() * 3 * thumbnail_px_ * thumbnail_px_);
    tiles_ = read_file(folder + "/tiles", tiles * 3 * tile_px_ * tile_px_);
    result_.open(folder + "/result");
    result_.precision(9);
  }

  void work() {
    result_ << "baseline_kib " << memory_kib("VmHWM") << "\n";
    const std::string path = folder_ + "/" + job_.text("model");
    if (!std::ifstream(path)) throw RunnerError("there is no model at " + path);
    const auto start = Clock::now();
    model_ = open_model(path, {job_.entry("analyze"), job_.entry("enhance")},
                        static_cast<int>(job_.count("threads")));
    result_ << "load_s " << seconds_since(start) << "\n";
    check_sizes();
    time_calls();
    result_ << "peak_kib " << memory_kib("VmHWM") << "\n";
    if (job_.number("sustained_s") > 0) sustain();
    const size_t bytes = enhance_photos();
    result_ << "done " << bytes << std::endl;
    if (!result_) throw RunnerError("cannot write " + folder_ + "/result");
  }

 private:
  void check_sizes() {
    if (model_->input_bytes(kAnalyze, 0) != analyze_images_.size(thumbnail_px_) ||
        model_->input_bytes(kEnhance, kTile) != enhance_images_.size(tile_px_) ||
        model_->output_bytes(kEnhance, 0) != enhance_images_.size(tile_px_))
      throw RunnerError("the model takes images of other sizes than its manifest says");
  }

  void analyze(const uint8_t* thumbnail) {
    model_->write(kAnalyze, 0, [&](void* tensor) { analyze_images_.enter(thumbnail, thumbnail_px_, tensor); });
    model_->run(kAnalyze);
    for (size_t part = 0; part < job_.list("analyze.outputs").size(); part++) {
      const size_t bytes = model_->output_bytes(kAnalyze, part);
      model_->read(kAnalyze, part, [&](const void* from) {
        model_->write(kEnhance, part + 1, [&](void* to) { std::memcpy(to, from, bytes); });
      });
    }
  }

  void enhance(const uint8_t* tile, uint8_t* kept) {
    run_tile(tile);
    model_->read(kEnhance, 0, [&](const void* tensor) { enhance_images_.leave(tensor, tile_px_, halo_px_, kept); });
  }

  void run_tile(const uint8_t* tile) {
    model_->write(kEnhance, kTile, [&](void* tensor) { enhance_images_.enter(tile, tile_px_, tensor); });
    model_->run(kEnhance);
  }

  template <typename Call>
  double timed(Mark which, const Call& call) {
    mark(which);
    const auto start = Clock::now();
    call();
    const double taken = seconds_since(start);
    mark(which);
    return taken;
  }

  void time_calls() {
    const size_t warm_up = job_.count("warm_up"), runs = job_.count("runs");
    const auto rest = std::chrono::duration<double>(job_.number("cool_down_s"));
    Bytes kept(3 * (tile_px_ - 2 * halo_px_) * (tile_px_ - 2 * halo_px_));
    const auto once = [&](size_t entry) {
      entry == kAnalyze ? analyze(thumbnails_.data()) : enhance(tiles_.data(), kept.data());
    };
    for (size_t entry : {kAnalyze, kEnhance}) {
      std::this_thread::sleep_for(rest);
      for (size_t at = 0; at < warm_up; at++) once(entry);
      std::vector<double> samples;
      for (size_t at = 0; at < runs; at++)
        samples.push_back(timed(entry == kAnalyze ? kAnalyzeMark : kEnhanceMark, [&] { once(entry); }));
      first_made_ = entry == kEnhance && runs > 0;
      for (double sample : samples) result_ << (entry == kAnalyze ? "analyze_s " : "enhance_s ") << sample << "\n";
    }
  }

  // Tile after tile without a pause.
  void sustain() {
    const double most = job_.number("sustained_s"), window = std::max(kShortestWindow, job_.number("window_s"));
    Bytes kept(3 * (tile_px_ - 2 * halo_px_) * (tile_px_ - 2 * halo_px_));
    const auto begin = Clock::now();
    analyze(thumbnails_.data());
    while (seconds_since(begin) < most) {
      std::vector<double> samples;
      for (const auto start = Clock::now(); samples.empty() || seconds_since(start) < window;) {
        const auto call = Clock::now();
        enhance(tiles_.data(), kept.data());
        samples.push_back(seconds_since(call));
      }
      const auto middle = samples.begin() + (samples.size() - 1) / 2;  // nearest rank, as in latency.py
      std::nth_element(samples.begin(), middle, samples.end());
      result_ << "window_s " << *middle << "\n";
      std::printf("window %.9f\n", *middle);
      std::fflush(stdout);
    }
  }

  size_t enhance_photos() {
    std::ofstream outputs(folder_ + "/outputs", std::ios::binary);
    const uint8_t *thumbnail = thumbnails_.data(), *tile = tiles_.data();
    const size_t bytes = enhance_images_.size(tile_px_);
    size_t written = 0;
    for (size_t count : tiles_of_photo_) {
      // The last call that was timed has made the first tile: on an emulator a call can take a minute.
      if (thumbnail != thumbnails_.data() || !first_made_) analyze(thumbnail);
      thumbnail += 3 * thumbnail_px_ * thumbnail_px_;
      for (size_t at = 0; at < count; at++, tile += 3 * tile_px_ * tile_px_, written += bytes) {
        if (tile != tiles_.data() || !first_made_) run_tile(tile);
        model_->read(kEnhance, 0, [&](const void* made) { outputs.write(static_cast<const char*>(made), bytes); });
      }
    }
    outputs.close();
    if (!outputs) throw RunnerError("cannot write " + folder_ + "/outputs: is the disk full?");
    return written;
  }

  const Job& job_;
  const std::string folder_;
  const Images analyze_images_, enhance_images_;
  const size_t thumbnail_px_, tile_px_, halo_px_;
  std::vector<size_t> tiles_of_photo_;
  Bytes thumbnails_, tiles_;
  std::ofstream result_;
  std::unique_ptr<Model> model_;
  bool first_made_ = false;  // the output of the first tile of the first photo is in the model's memory
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "runner: give the folder of a job\n");
    return 1;
  }
  int code = 0;
  try {
    Bench(argv[1], Job(std::string(argv[1]) + "/job")).work();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "runner: %s\n", error.what());
    code = 1;
  }
  std::fflush(nullptr);
  _exit(code);  // LiteRT's own threads outlive main and crash in its destructors
}
