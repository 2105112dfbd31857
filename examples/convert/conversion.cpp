// SPDX-License-Identifier: MIT
#include "conversion.hpp"

#include <filesystem>
#include <utility>

#include <prefer/file/writable.hpp>
#include <prefer/lm/files/any_adapter.hpp>
#include <prefer/lm/files/finite.hpp>
#include <prefer/lm/files/gguf_model.hpp>
#include <prefer/lm/files/safetensors_model.hpp>
#include <prefer/lm/text/tokenizer_beside.hpp>
#include <prefer/lm/text/tokenizer_folder.hpp>
#include <prefer/lm/text/tokenizer_writing.hpp>

#include "../program.hpp"

namespace convert {

namespace {

namespace fs = std::filesystem;
namespace lm = prefer::lm;

/// Metadata, a configuration and a tokenizer.
constexpr std::size_t room_beside_tensors = std::size_t{16} << 20;

bool ends_in_gguf(std::string const& path) { return fs::path(path).extension() == ".gguf"; }

lm::adapter<float> read_adapter(request const& what, lm::model_file const& model,
                                conversion& done) {
  auto adapter = lm::read_adapter<float>(what.adapter, model.config());
  if (auto const warning = lm::warning_of_base({"adapter", what.adapter, 0}, adapter, model)) {
    done.warnings.push_back(*warning);
  }
  return adapter;
}

void expect_room(std::string const& path, std::size_t bytes) {
  prefer::expect_writable(path, bytes + room_beside_tensors);
}

void write_adapter(request const& what, lm::model_file const& model,
                   lm::adapter<float> const& adapter, conversion& done) {
  for (auto const& pair : adapter.pairs) {
    done.bytes += (pair.a.size() + pair.b.size()) * sizeof(float);
    done.tensors += 2;
  }
  if (writes_gguf(what)) {
    expect_room(what.output, done.bytes);
    lm::write_gguf_adapter(what.output, adapter, model.config());
    done.files = {what.output};
    return;
  }
  program::make_folder(what.output);
  expect_room(what.output + "/adapter_model.safetensors", done.bytes);
  lm::write_peft_adapter(what.output, adapter, what.model);
  done.files = {what.output + "/adapter_model.safetensors", what.output + "/adapter_config.json"};
}

template <class Changes>
void write_model(request const& what, lm::model_file const& model, Changes const& changes,
                 lm::model_output const& output, conversion& done) {
  std::size_t const bytes = lm::bytes_to_write(model, changes, output, writes_gguf(what));
  lm::written_model written;
  if (writes_gguf(what)) {
    expect_room(what.output, bytes);
    std::optional<lm::tokenizer_data> tokenizer;
    if (model.gguf() == nullptr && model.beside("tokenizer.json")) {
      tokenizer = lm::read_tokenizer_folder(*model.beside("tokenizer.json"));
    } else if (model.gguf() == nullptr) {
      done.warnings.push_back(what.model + " has no tokenizer.json, so the file has no tokenizer");
    }
    written = lm::write_gguf_model(what.output, model, changes, output, [&](lm::gguf_writer& file) {
      if (tokenizer) lm::add_tokenizer(file, *tokenizer, model.config().vocabulary);
    });
    done.files = {what.output};
  } else {
    program::make_folder(what.output);
    expect_room(what.output + "/model.safetensors", bytes);
    written = lm::write_safetensors_model(what.output, model, changes, output,
                                          lm::tokens_of_config(model), what.shard_bytes);
    done.files = written.files;
    auto const words = lm::write_tokenizer_beside(what.output, model);
    done.files.insert(done.files.end(), words.begin(), words.end());
    bool const found =
        model.gguf() != nullptr ? !words.empty() : model.beside("tokenizer.json").has_value();
    if (!found) {
      done.warnings.push_back(
          what.model + (model.gguf() != nullptr ? " has no tokenizer" : " has no tokenizer.json") +
          ", so none was written");
    }
  }
  done.tensors = written.tensors;
  done.bytes = written.bytes;
  done.not_in_blocks = written.not_in_blocks;
}

}  // namespace

bool writes_gguf(request const& what) { return ends_in_gguf(what.output); }

conversion run(request const& what, prefer::executor threads,
               std::function<void(std::size_t, std::string const&)> const& before) {
  conversion done;
  lm::model_file const model(what.model);
  if (model.has_head()) {
    model.at().refuse(
        "is a reward model: it has a head, and what is converted here are models that write");
  }
  lm::expect_finite(model, threads);
  std::optional<lm::adapter<float>> adapter;
  if (!what.adapter.empty()) adapter = read_adapter(what, model, done);
  if (what.keep_apart) {
    write_adapter(what, model, *adapter, done);
    return done;
  }
  std::size_t const tensors = model.names().size();
  lm::model_output const output{
      .matrices = what.type, .threads = threads, .before_tensor = [&](std::string const& tensor) {
        before(tensors, tensor);
      }};
  if (adapter) {
    write_model(what, model, lm::merged_adapter<float>(*adapter), output, done);
  } else {
    write_model(what, model, lm::no_changes<float>{}, output, done);
  }
  return done;
}

}  // namespace convert
