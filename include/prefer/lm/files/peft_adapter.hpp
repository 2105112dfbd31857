// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
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
#include <prefer/text/number.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

inline constexpr char const* base_identity_key = "prefer.base_identity";
inline constexpr char const* base_vectors_key = "prefer.base_vectors";
inline constexpr char const* head_name = "base_model.model.score.weight";

/// PEFT saves the head of a model for sequence classification beside its adapter: `score`, or of other models `classifier`.
[[nodiscard]] inline bool has_head(json_row const& row) {
  return data::optional_text(row, "task_type").value_or("") == "SEQ_CLS";
}

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
      extra{"megatron_config", "it is of Megatron's layers"},
      extra{"arrow_config", "it is routed between several adapters"},
      extra{"kasa_config", "it has singular values between A and B"},
      extra{"velora_config", "it is of VeLoRA's form"},
      extra{"monteclora_config", "it is sampled"}};
  for (auto const& each : extras) {
    auto const* const value = data::find_field(row, each.name);
    bool set = value != nullptr && *value != json(false) &&
               !((value->is_object() || value->is_array()) && value->empty());
    if (set && std::string_view(each.name) == "modules_to_save" && has_head(row)) {
      for (auto const& module : *value) set = set && (module == "score" || module == "classifier");
      set = !set;
    }
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

/// What a configuration says of modules whose rank or alpha is their own: by the end of their names, or behind a
/// circumflex by the whole name. PEFT takes regular expressions, and of several that a module meets the first in the file;
/// here they are names, and several that a module meets say the same.
///
/// Errors  backend_error naming the field: an expression that is no name, a value that is no number, a contradiction
class peft_pattern {
 public:
  peft_pattern(json_row const& row, std::string const& field) {
    auto const* const found = data::find_field(row, field);
    if (found == nullptr) return;
    if (!found->is_object()) {
      data::refuse_field(row, field,
                         "found " + data::detail::kind_of(*found) + "; expected an object");
    }
    for (auto const& [name, value] : found->items()) {
      std::string_view end = name;
      bool const whole = !end.empty() && end.front() == '^';
      if (whole) end.remove_prefix(1);
      if (end.empty() || end.find_first_of("\\^$*+?()[]{}|") != std::string_view::npos) {
        data::refuse_field(
            row, field,
            "has the expression " + data::in_quotes(name, 80) + "; expected names of modules");
      }
      if (!value.is_number()) {
        data::refuse_field(row, field,
                           "has for " + data::in_quotes(name, 80) + " " +
                               data::detail::kind_of(value) + "; expected a number");
      }
      entries_.push_back({std::string(end), whole, value.get<double>()});
    }
    for (auto const& a : entries_) {
      for (auto const& b : entries_) {
        if (&a != &b && a.value != b.value && meets(b, a.name)) {
          data::refuse_field(row, field,
                             data::in_quotes(a.name, 80) + " and " + data::in_quotes(b.name, 80) +
                                 " are met by the same modules; expected one of them");
        }
      }
    }
  }

  [[nodiscard]] double of(std::string const& module, double otherwise) const {
    for (auto const& each : entries_) {
      if (meets(each, module)) return each.value;
    }
    return otherwise;
  }

 private:
  struct entry {
    std::string name;
    bool whole = false;
    double value = 0;
  };
  static bool meets(entry const& of, std::string_view module) {
    if (module == of.name) return true;
    return !of.whole && module.size() > of.name.size() && module.ends_with(of.name) &&
           module[module.size() - of.name.size() - 1] == '.';
  }

  std::vector<entry> entries_;
};

/// Whether PEFT looks for the targets in all layers: they are a list of the last parts of names.
[[nodiscard]] inline bool targets_every_layer(json_row const& row) {
  if (auto const* const layers = data::find_field(row, "layers_to_transform")) {
    if (!layers->is_array() || !layers->empty()) return false;
  }
  auto const* const targets = data::find_field(row, "target_modules");
  if (targets == nullptr || !targets->is_array()) return false;
  auto const* const excluded = data::find_field(row, "exclude_modules");
  bool every = excluded == nullptr || excluded->empty();
  for (json const& each : *targets) {
    every = every && each.is_string() &&
            each.get_ref<std::string const&>().find('.') == std::string::npos;
  }
  return every;
}

/// A number as people write it: whole where it is so to rounding.
[[nodiscard]] inline json plain_number(double value) {
  double const whole = std::round(value);
  bool const is_whole = std::fabs(value - whole) <= 1e-9 * std::fabs(whole);
  return is_whole && std::fabs(whole) < 1e9 ? json(static_cast<std::int64_t>(whole)) : json(value);
}

/// The name that PEFT keeps of the base: never an absolute path, which says nothing on another machine.
[[nodiscard]] inline std::string portable_base_name(std::string const& name) {
  std::filesystem::path const path(name);
  if (path.is_relative()) return name;
  auto const last = path.has_filename() ? path.filename() : path.parent_path().filename();
  return last.string();
}

}  // namespace detail

/// Whether the adapter in a folder is a reward model's, by its configuration alone; read_peft_adapter refuses one that says
/// so and has no head.
///
/// Errors  backend_error: a configuration that cannot be read
[[nodiscard]] inline bool is_peft_reward_model(std::filesystem::path const& folder) {
  return detail::has_head(read_json_object("adapter", (folder / "adapter_config.json").string()));
}

/// Reads a folder with adapter_config.json and adapter_model.safetensors, as PEFT saves LoRA; of a model for sequence
/// classification with one label, a reward model, also its head.
///
/// Errors  backend_error naming file and field or tensor: another kind of adapter, what is not computed here by name, a
///         tensor without its counterpart, another rank than the configuration says, a number that is not finite
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
  result.in_every_layer = detail::targets_every_layer(row);
  detail::peft_pattern const ranks(row, "rank_pattern");
  detail::peft_pattern const alphas(row, "alpha_pattern");

  safetensors_file const file((folder / "adapter_model.safetensors").string());
  std::vector<detail::adapter_matrix<T>> matrices;
  for (tensor_entry const& each : file.tensors()) {
    if (detail::has_head(row) && each.name == detail::head_name) {
      if (each.shape.size() != 2 || each.shape[0] != 1) {
        file.at().refuse("the head has the shape " + shape_text(each.shape) +
                         "; expected one row, a score");
      }
      result.head.resize(each.shape[1]);
      dequantise<T>(each.type, file.bytes(each), result.head);
      continue;
    }
    auto const name = detail::read_peft_name(each.name);
    if (each.name.ends_with(".base_layer.weight")) {
      file.at().refuse("tensor " + data::in_quotes(each.name, 100) +
                       " is a whole matrix of the base, which is not taken from an adapter; "
                       "PEFT leaves it out with save_embedding_layers=False");
    }
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
    double const rank = ranks.of(each.module, static_cast<double>(result.rank));
    if (static_cast<double>(each.rank) != rank) {
      file.at().refuse("the adapter of " + data::in_quotes(each.module, 80) + " has rank " +
                       std::to_string(each.rank) + ", adapter_config.json says " +
                       text::shortest(rank));
    }
    each.scale = alphas.of(each.module, result.alpha) / result.divisor(each.rank);
  }
  detail::expect_finite_pairs(file.at(), result.pairs);
  detail::expect_finite_head(file.at(), result.head);
  if (detail::has_head(row) && result.head.empty()) {
    file.at().refuse("is for sequence classification and has no tensor " +
                     data::in_quotes(detail::head_name, 80));
  }
  auto const identity = [&](char const* key) -> std::optional<std::uint64_t> {
    auto const found = file.metadata().find(key);
    if (found == file.metadata().end()) return std::nullopt;
    std::uint64_t value = 0;
    auto const& text = found->second;
    std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return value;
  };
  result.base_identity = identity(detail::base_identity_key);
  result.base_vectors = identity(detail::base_vectors_key);
  return result;
}

/// Writes an adapter as PEFT saves one, into a folder that is made where it is not there: the weights first, so that a
/// configuration is never beside those of another adapter. `base` is the name by which PEFT looks for the base, or empty;
/// of an absolute path only the last part is kept. Pairs with a rank or scale of their own are named in rank_pattern and
/// alpha_pattern.
///
/// Errors  backend_error where a file cannot be written
template <std::floating_point T>
void write_peft_adapter(std::filesystem::path const& folder, adapter<T> const& from,
                        std::string const& base = {}) {
  std::set<std::string> targets;
  json ranks = json::object();
  json alphas = json::object();
  for (auto const& pair : from.pairs) {
    targets.insert(from.in_every_layer ? pair.module.substr(pair.module.rfind('.') + 1)
                                       : pair.module);
    if (pair.rank != from.rank) ranks[pair.module] = pair.rank;
    double const scale = from.alpha / from.divisor(pair.rank);
    if (std::fabs(pair.scale - scale) > 1e-9 * std::fabs(pair.scale)) {
      alphas[pair.module] = detail::plain_number(pair.scale * from.divisor(pair.rank));
    }
  }
  std::filesystem::create_directories(folder);
  safetensors_writer file((folder / "adapter_model.safetensors").string());
  for (auto const& [key, identity] : {std::pair{detail::base_identity_key, from.base_identity},
                                      {detail::base_vectors_key, from.base_vectors}}) {
    if (!identity) continue;
    char digits[17] = {};
    std::to_chars(digits, digits + 16, *identity, 16);
    file.add(key, digits);
  }
  for (auto const& pair : from.pairs) {
    file.declare(detail::write_peft_name(pair.module, true), type_of_values<T>,
                 {pair.rank, pair.in});
    file.declare(detail::write_peft_name(pair.module, false), type_of_values<T>,
                 {pair.out, pair.rank});
  }
  if (!from.head.empty()) {
    file.declare(detail::head_name, type_of_values<T>, {1, from.head.size()});
  }
  for (auto const& pair : from.pairs) {
    file.write(std::as_bytes(std::span(pair.a)));
    file.write(std::as_bytes(std::span(pair.b)));
  }
  if (!from.head.empty()) file.write(std::as_bytes(std::span(from.head)));
  file.commit();

  json config = {{"peft_type", "LORA"}, {"task_type", from.head.empty() ? "CAUSAL_LM" : "SEQ_CLS"}};
  if (!from.head.empty()) config["modules_to_save"] = {"classifier", "score"};
  config["base_model_name_or_path"] =
      base.empty() ? json(nullptr) : json(detail::portable_base_name(base));
  config["r"] = from.rank;
  config["lora_alpha"] = detail::plain_number(from.alpha);
  if (!ranks.empty()) config["rank_pattern"] = ranks;
  if (!alphas.empty()) config["alpha_pattern"] = alphas;
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
