// ExecuTorch behind model.h, against the libraries and headers of its Python wheel.
#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>

#include <cstdint>

#include "model.h"

// In the libraries of the wheel, though not in its headers.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(uint32_t threads);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool
namespace executorch::runtime {
void runtime_init();
}

namespace {

using executorch::extension::from_blob;
using executorch::extension::Module;
using executorch::extension::TensorPtr;
using executorch::runtime::Error;
using executorch::runtime::EValue;

std::string refused(const std::string& what, Error error) {
  return "ExecuTorch refuses " + what + " (error " + std::to_string(static_cast<int>(error)) + ")";
}

struct Method {
  std::string name;
  std::vector<std::vector<uint8_t>> memory;  // of the inputs
  std::vector<TensorPtr> tensors;
  std::vector<EValue> inputs, outputs;
  std::vector<size_t> output_bytes;
};

class ExecutorchModel : public Model {
 public:
  ExecutorchModel(const std::string& path, const std::vector<EntryPoint>& entries) : module_(path) {
    for (const EntryPoint& entry : entries) {
      const Error error = module_.load_method(entry.function);
      if (error != Error::Ok) throw RunnerError(refused(path + ", method " + entry.function, error));
      methods_.push_back(describe(entry));
    }
  }

  size_t input_bytes(size_t entry, size_t input) const override { return methods_[entry].memory.at(input).size(); }
  size_t output_bytes(size_t entry, size_t output) const override { return methods_[entry].output_bytes.at(output); }

  void write(size_t entry, size_t input, const std::function<void(void*)>& fill) override {
    fill(methods_[entry].memory[input].data());
  }

  void read(size_t entry, size_t output, const std::function<void(const void*)>& take) override {
    take(methods_[entry].outputs.at(output).toTensor().const_data_ptr());
  }

  void run(size_t entry) override {
    Method& method = methods_[entry];
    auto made = module_.execute(method.name, method.inputs);
    if (!made.ok()) throw RunnerError(refused("to run " + method.name, made.error()));
    method.outputs = std::move(made.get());
  }

 private:
  Method describe(const EntryPoint& entry) {
    auto meta = module_.method_meta(entry.function);
    if (!meta.ok()) throw RunnerError(refused("to describe " + entry.function, meta.error()));
    if (meta->num_inputs() != entry.inputs.size() || meta->num_outputs() != entry.outputs.size())
      throw RunnerError(entry.function + " has not the inputs and outputs of the manifest");
    Method method{entry.function, {}, {}, {}, {}, {}};
    for (size_t at = 0; at < entry.inputs.size(); at++) {
      auto info = meta->input_tensor_meta(at);
      if (!info.ok()) throw RunnerError(entry.inputs[at] + " is not a tensor");
      const auto sizes = info->sizes();
      method.memory.emplace_back(info->nbytes());
      method.tensors.push_back(
          from_blob(method.memory.back().data(), {sizes.begin(), sizes.end()}, info->scalar_type()));
      method.inputs.emplace_back(*method.tensors.back());
    }
    for (size_t at = 0; at < entry.outputs.size(); at++) {
      auto info = meta->output_tensor_meta(at);
      if (!info.ok()) throw RunnerError(entry.outputs[at] + " is not a tensor");
      method.output_bytes.push_back(info->nbytes());
    }
    return method;
  }

  Module module_;
  std::vector<Method> methods_;
};

}  // namespace

std::unique_ptr<Model> open_model(const std::string& path, const std::vector<EntryPoint>& entries, int threads) {
  executorch::runtime::runtime_init();
  executorch::extension::threadpool::get_threadpool()->_unsafe_reset_threadpool(threads);
  return std::make_unique<ExecutorchModel>(path, entries);
}
