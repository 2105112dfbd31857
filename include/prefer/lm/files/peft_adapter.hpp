// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/lm/files/adapter.hpp>
#include <prefer/lm/files/dequantise.hpp>
#include <prefer/lm/files/json_file.hpp>
#include <prefer/lm/files/safetensors.hpp>
#include <prefer/lm/files/safetensors_writer.hpp>
#include <prefer/lm/files/weight_matrix.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

inline constexpr char const* base_identity_key = "prefer.base_identity";

/// What LoRA of PEFT has beside A and B, which is not computed here. A field may be missing, null, false or empty.
inline void refuse_peft_extras(json_row const& row) {
  struct extra {
    char const* name;
    char const* what;
  };
  constexpr std::array extras = {
      extra{"use_dora", "DoRA scales the columns of the sum"},
      extra{"use_qalora", "QA-LoRA pools the inputs"},
      extra{"use_bdlora", "its matrices are blocks"},
      extra{"lora_bias", "B has a bias"},
      extra{"fan_in_fan_out", "weights are transposed"},
      extra{"modules_to_save", "whole modules are saved with it"},
      extra{"layer_replication", "layers are repeated"},
      extra{"trainable_token_indices", "rows of the embedding are trained besides"},
      extra{"target_parameters", "it changes parameters that are no linear maps"},
      extra{"alora_invocation_tokens", "it acts behind certain tokens only"},
      extra{"rank_pattern", "ranks differ between modules"},
      extra{"alpha_pattern", "alphas differ between modules"},
      extra{"megatron_config", "it is of Megatron's layers"},
      extra{"arrow_config", "it is routed between several adapters"},
      extra{"kasa_config", "it has singular values between A and B"},
      extra{"velora_config", "it is of VeLoRA's form"},
      extra{"monteclora_config", "it is sampled"}};
  for (auto const& each : extras) {
    auto const* const value = data::find_field(row, each.name);
    bool const set = value != nullptr && *value != json(false) &&
                     !((value->is_object() || value->is_array()) && value->empty());
    if (set) {
      data::refuse_field(row, each.name,
                         std::string("is set: ") + each.what + ", which is not computed here");
    }
  }
  auto const bias = data::optional_text(row, "bias").value_or("none");
  if (bias != "none") {
    data::refuse_field(row, "bias", "found " + data::in_quotes(bias) + "; expected none");
  }
  // Some ways to begin take from the base what they put into the adapter, and such a base is not the one on disk.
  auto const* const begins = data::find_field(row, "init_lora_weights");
  if (begins != nullptr && begins->is_string() && *begins != "gaussian" && *begins != "eva" &&
      *begins != "orthogonal") {
    data::refuse_field(row, "init_lora_weights",
                       "found " + data::detail::kind_of(*begins) +
                           ": the base was changed when the adapter began");
  }
}

/// The name that PEFT keeps of the base: never an absolute path, which says nothing on another machine.
[[nodiscard]] inline std::string portable_base_name(std::string const& name) {
  std::filesystem::path const path(name);
  if (path.is_relative()) return name;
  auto const last = path.has_filename() ? path.filename() : path.parent_path().filename();
  return last.string();
}

}  // namespace detail

/// Reads a folder with adapter_config.json and adapter_model.safetensors, as PEFT saves LoRA.
///
/// Errors  backend_error naming file and field or tensor: another kind of adapter, what is not computed here by name, a
///         tensor without its counterpart, another rank than the configuration says
/// Source  peft, tuners/lora
template <std::floating_point T>
[[nodiscard]] adapter<T> read_peft_adapter(std::filesystem::path const& folder) {
  auto const row = read_json_object("adapter", (folder / "adapter_config.json").string());
  auto const kind = data::text(row, "peft_type");
  if (kind != "LORA") {
    data::refuse_field(row, "peft_type", "found " + data::in_quotes(kind) + "; expected LORA");
  }
  detail::refuse_peft_extras(row);
  adapter<T> result;
  result.rank = count(row, "r");
  result.alpha = data::number(row, "lora_alpha");
  result.rank_stabilised = flag(row, "use_rslora", false);
  result.dropout = data::optional_number(row, "lora_dropout").value_or(0);

  safetensors_file const file((folder / "adapter_model.safetensors").string());
  std::vector<detail::adapter_matrix<T>> matrices;
  for (tensor_entry const& each : file.tensors()) {
    auto const name = detail::read_peft_name(each.name);
    if (!name || each.shape.size() != 2) {
      file.at().refuse("tensor " + data::in_quotes(each.name, 100) + " of shape " +
                       shape_text(each.shape) + " is no matrix of LoRA");
    }
    std::vector<T> values(each.shape[0] * each.shape[1]);
    dequantise<T>(each.type, file.bytes(each), values);
    matrices.push_back({name->module, name->is_a, each.shape[0], each.shape[1], std::move(values)});
  }
  result.pairs = detail::pair_up(file.at(), std::move(matrices));
  for (auto& each : result.pairs) {
    if (each.rank != result.rank) {
      file.at().refuse("the adapter of " + data::in_quotes(each.module, 80) + " has rank " +
                       std::to_string(each.rank) + ", adapter_config.json says " +
                       std::to_string(result.rank));
    }
    each.scale = result.scale();
  }
  auto const identity = file.metadata().find(detail::base_identity_key);
  if (identity != file.metadata().end()) {
    std::uint64_t value = 0;
    auto const& text = identity->second;
    std::from_chars(text.data(), text.data() + text.size(), value, 16);
    result.base_identity = value;
  }
  return result;
}

/// Writes an adapter as PEFT saves one, into a folder that is made where it is not there: the weights first, so that a
/// configuration is never beside those of another adapter. `base` is the name by which PEFT looks for the base, or empty;
/// of an absolute path only the last part is kept.
///
/// Errors  backend_error where a file cannot be written; precondition_error for pairs of several ranks or scales
template <std::floating_point T>
void write_peft_adapter(std::filesystem::path const& folder, adapter<T> const& from,
                        std::string const& base = {}) {
  std::set<std::string> targets;
  for (auto const& pair : from.pairs) {
    if (pair.rank != from.rank ||
        std::fabs(pair.scale - from.scale()) > 1e-6 * std::fabs(pair.scale)) {
      refuse("write_peft_adapter: " + data::in_quotes(pair.module, 80) +
             " has a rank or a scale of its own");
    }
    targets.insert(pair.module.substr(pair.module.rfind('.') + 1));
  }
  std::filesystem::create_directories(folder);
  safetensors_writer file((folder / "adapter_model.safetensors").string());
  if (from.base_identity) {
    char digits[17] = {};
    std::to_chars(digits, digits + 16, *from.base_identity, 16);
    file.add(detail::base_identity_key, digits);
  }
  for (auto const& pair : from.pairs) {
    file.declare(detail::write_peft_name(pair.module, true), type_of_values<T>,
                 {pair.rank, pair.in});
    file.declare(detail::write_peft_name(pair.module, false), type_of_values<T>,
                 {pair.out, pair.rank});
  }
  for (auto const& pair : from.pairs) {
    file.write(std::as_bytes(std::span(pair.a)));
    file.write(std::as_bytes(std::span(pair.b)));
  }
  file.commit();

  json config = {{"peft_type", "LORA"}, {"task_type", "CAUSAL_LM"}};
  config["base_model_name_or_path"] =
      base.empty() ? json(nullptr) : json(detail::portable_base_name(base));
  config["r"] = from.rank;
  bool const whole = from.alpha == std::floor(from.alpha) && std::fabs(from.alpha) < 1e9;
  config["lora_alpha"] = whole ? json(static_cast<std::int64_t>(from.alpha)) : json(from.alpha);
  config["lora_dropout"] = from.dropout;
  config["use_rslora"] = from.rank_stabilised;
  config["target_modules"] = targets;
  config["bias"] = "none";
  config["fan_in_fan_out"] = false;
  config["inference_mode"] = true;
  config["init_lora_weights"] = true;
  atomic_file text((folder / "adapter_config.json").string());
  text.write(config.dump(2) + "\n");
  text.commit();
}

}  // namespace prefer::inline v0_1::lm
