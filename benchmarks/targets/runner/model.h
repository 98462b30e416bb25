// A model as the runner sees it; executorch_model.cpp and litert_model.cpp implement it, and one of them is linked.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

// A function of the model and its tensors by name, in the order of the manifest.
struct EntryPoint {
  std::string function;
  std::vector<std::string> inputs, outputs;
};

// One sentence for whoever started the runner.
struct RunnerError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Model {
 public:
  virtual ~Model() = default;
  virtual size_t input_bytes(size_t entry, size_t input) const = 0;
  virtual size_t output_bytes(size_t entry, size_t output) const = 0;
  // `fill` and `take` get the memory of the tensor itself: nothing is copied.
  virtual void write(size_t entry, size_t input, const std::function<void(void*)>& fill) = 0;
  virtual void read(size_t entry, size_t output, const std::function<void(const void*)>& take) = 0;
  virtual void run(size_t entry) = 0;
};

// Throws RunnerError if the file is no model of this runtime, or has not these entry points.
std::unique_ptr<Model> open_model(const std::string& path, const std::vector<EntryPoint>& entries, int threads);
