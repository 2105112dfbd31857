// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/lm/files/llama_config.hpp>
#include <prefer/lm/model/linear_map.hpp>
#include <prefer/lm/model/zeroed_memory.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1::lm {

/// A linear map whose adapter has a rank and a scale of its own.
struct lora_map {
  std::string module;  ///< "model.layers.0.self_attn.q_proj"
  std::size_t rank = 0;
  double scale = 0;  ///< what B A is multiplied by
};

/// What a low-rank adapter adds to linear maps, the rest of the model being frozen.
///
///   y = W x + scale * B (A dropout(x)),   A [rank, in], B [out, rank]
///   scale = alpha / rank, or alpha / sqrt(rank) where it is rank stabilised
///
/// Source  Hu et al. 2021, "LoRA", arXiv:2106.09685, section 4.1; rank stabilised: Kalajdzievski 2023, arXiv:2312.03732.
///         A begins as PEFT begins it, uniform on +-1 / sqrt(in), and B at 0, so that nothing is changed at the start
struct lora_options {
  std::size_t rank = 16;
  double alpha = 32;
  bool rank_stabilised = false;
  double dropout = 0;  ///< share of an adapter's inputs that a training step leaves out
  std::vector<std::string> targets = {};  ///< "q_proj", "down_proj" and so on; none: all seven
  std::uint64_t seed = 1;                 ///< of A, and of what dropout leaves out
  /// Where there are any, the maps that have an adapter, in place of targets, rank and alpha: see lora_options_of.
  std::vector<lora_map> maps = {};

  [[nodiscard]] double scale() const {
    auto const r = static_cast<double>(rank);
    return alpha / (rank_stabilised ? std::sqrt(r) : r);
  }
  /// Of one of its maps.
  [[nodiscard]] double scale_of(std::string_view module) const {
    for (lora_map const& each : maps) {
      if (each.module == module) return each.scale;
    }
    return scale();
  }
};

/// A pair of matrices of an adapter, and their gradients.
template <class T>
struct lora_matrices {
  std::size_t rank = 0;
  T scale = 0;
  T* a = nullptr;  ///< [rank, in]
  T* b = nullptr;  ///< [out, rank]
  T* a_gradient = nullptr;
  T* b_gradient = nullptr;

  [[nodiscard]] bool empty() const { return rank == 0; }
};

/// The matrices of a low-rank adapter for a model of the Llama family.
///
/// Tensors are named as PEFT names them in its files: "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight".
/// A copy has values of its own, and gradients of 0.
///
/// Errors  precondition_error naming what is out of range, or the target that a layer does not have
template <std::floating_point T>
class lora_adapter {
 public:
  lora_adapter(llama_config const& model, lora_options options)
      : options_(std::move(options)), places_(model.layers * linear_maps) {
    expects(options_.dropout >= 0 && options_.dropout < 1, "lora: dropout must be in [0, 1)");
    choose_maps(model.layers);
    auto tensors = std::make_shared<std::vector<tensor>>();
    std::size_t count = 0;
    for (std::size_t layer = 0; layer != model.layers; ++layer) {
      for (linear_map const map : every_linear_map) {
        place& here = places_[place_of(layer, map)];
        if (here.rank == 0) continue;
        here.first_tensor = tensors->size();
        map_shape const shape = shape_of(model, map);
        std::string const name = "base_model.model." + name_of(layer, map);
        tensors->push_back({name + ".lora_A.weight", count, here.rank, shape.in});
        count += tensors->back().size();
        tensors->push_back({name + ".lora_B.weight", count, shape.out, here.rank});
        count += tensors->back().size();
      }
    }
    tensors_ = std::move(tensors);
    value_.resize(count);
    gradient_ = zeroed_memory<T>(count);
    draw();
  }
  lora_adapter(lora_adapter const& other)
      : options_(other.options_),
        places_(other.places_),
        tensors_(other.tensors_),
        value_(other.value_),
        gradient_(value_.size()) {}
  lora_adapter(lora_adapter&&) noexcept = default;
  lora_adapter& operator=(lora_adapter other) noexcept {
    options_ = std::move(other.options_);
    places_ = std::move(other.places_);
    tensors_ = std::move(other.tensors_);
    value_ = std::move(other.value_);
    gradient_ = std::move(other.gradient_);
    return *this;
  }
  ~lora_adapter() = default;

  [[nodiscard]] lora_options const& options() const { return options_; }

  /// What it adds to a linear map; empty where that is none of its targets.
  [[nodiscard]] lora_matrices<T> at(std::size_t layer, linear_map map) const {
    place const& here = places_[place_of(layer, map)];
    if (here.rank == 0) return {};
    std::size_t const a = (*tensors_)[here.first_tensor].begin;
    std::size_t const b = (*tensors_)[here.first_tensor + 1].begin;
    // The adapter is what is const, not the numbers that its views lead to: a forward pass only reads them.
    T* const values = const_cast<T*>(value_.data());
    return {.rank = here.rank,
            .scale = static_cast<T>(here.scale),
            .a = values + a,
            .b = values + b,
            .a_gradient = gradient_.data() + a,
            .b_gradient = gradient_.data() + b};
  }

  /// Over all layers.
  [[nodiscard]] std::size_t largest_rank(linear_map map) const {
    std::size_t most = 0;
    for (std::size_t i = static_cast<std::size_t>(map); i < places_.size(); i += linear_maps) {
      most = std::max(most, places_[i].rank);
    }
    return most;
  }

  [[nodiscard]] std::vector<parameter<T>> parameters() {
    std::vector<parameter<T>> out;
    for (tensor const& each : *tensors_) {
      out.push_back({.name = each.name,
                     .value = std::span<T>(value_).subspan(each.begin, each.size()),
                     .gradient = gradient_.all().subspan(each.begin, each.size()),
                     .shape = {each.rows, each.columns}});
    }
    return out;
  }

  /// Of what it computes besides the numbers of its matrices.
  [[nodiscard]] std::uint64_t identity() const {
    fingerprint out;
    out.add("lora").add(options_.dropout);
    if (options_.dropout != 0) out.add(options_.seed);
    for (place const& each : places_) out.add(each.rank).add(each.scale);
    for (tensor const& each : *tensors_) out.add(each.name).add(each.rows).add(each.columns);
    return out.value();
  }

 private:
  // Of a map of a layer.
  struct place {
    std::size_t rank = 0;  // 0: it has no adapter
    double scale = 0;
    std::size_t first_tensor = 0;  // where A is, B behind it
  };
  struct tensor {
    std::string name;
    std::size_t begin;
    std::size_t rows;
    std::size_t columns;

    [[nodiscard]] std::size_t size() const { return rows * columns; }
  };

  [[nodiscard]] static std::size_t place_of(std::size_t layer, linear_map map) {
    return layer * linear_maps + static_cast<std::size_t>(map);
  }

  void choose_maps(std::size_t layers) {
    if (options_.maps.empty()) {
      expects(options_.rank > 0, "lora: rank must be at least 1");
      expects(std::isfinite(options_.alpha), "lora: alpha must be finite");
      std::array<bool, linear_maps> const chosen = chosen_maps(options_.targets);
      for (std::size_t i = 0; i != places_.size(); ++i) {
        if (chosen[i % linear_maps]) places_[i] = {options_.rank, options_.scale()};
      }
      return;
    }
    for (lora_map const& each : options_.maps) {
      std::size_t i = 0;
      while (i != places_.size() &&
             each.module != name_of(i / linear_maps, every_linear_map[i % linear_maps])) {
        ++i;
      }
      if (i == places_.size()) {
        refuse("lora: '" + each.module + "' is no linear map of a model with " +
               std::to_string(layers) + " layers");
      }
      if (each.rank == 0 || !std::isfinite(each.scale) || places_[i].rank != 0) {
        refuse("lora: '" + each.module +
               "' is to be there once, with a rank of at least 1 and a finite scale");
      }
      places_[i] = {each.rank, each.scale};
    }
  }

  static std::array<bool, linear_maps> chosen_maps(std::vector<std::string> const& targets) {
    std::array<bool, linear_maps> chosen{};
    if (targets.empty()) chosen.fill(true);
    for (std::string const& target : targets) {
      bool known = false;
      std::string names;
      for (linear_map const map : every_linear_map) {
        names += names.empty() ? "" : ", ";
        names += short_name_of(map);
        if (target != short_name_of(map) && target != name_of(map)) continue;
        chosen[static_cast<std::size_t>(map)] = true;
        known = true;
      }
      if (!known) refuse("lora: target '" + target + "' is not one of " + names);
    }
    return chosen;
  }

  // Each number at an address of its own, so that an adapter for more layers or other targets begins with the same.
  void draw() {
    for (std::size_t at = 0; at != places_.size(); ++at) {
      if (places_[at].rank == 0) continue;
      tensor const& a = (*tensors_)[places_[at].first_tensor];
      double const bound = 1 / std::sqrt(static_cast<double>(a.columns));
      random_stream numbers(
          {.seed = options_.seed, .purpose = random_purpose::initial_values, .step = at});
      for (std::size_t k = a.begin; k != a.begin + a.size(); ++k) {
        value_[k] = static_cast<T>(bound * (2 * uniform01(numbers) - 1));
      }
    }
  }

  lora_options options_;
  std::vector<place> places_;                           // of each layer and map
  std::shared_ptr<std::vector<tensor> const> tensors_;  // copies have the same names
  std::vector<T> value_;
  zeroed_memory<T> gradient_;
};

}  // namespace prefer::inline v0_1::lm
