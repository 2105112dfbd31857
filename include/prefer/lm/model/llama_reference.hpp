// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/linear_log_prob.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/lm/files/llama_config.hpp>
#include <prefer/lm/files/weight_matrix.hpp>
#include <prefer/lm/model/llama_pass.hpp>
#include <prefer/lm/model/row_layout.hpp>

namespace prefer::inline v0_1::lm {

template <std::floating_point T>
class llama;

namespace detail {

template <class R>
concept leaves_an_adapter_out = requires(R const& reference) { reference.policy_with_adapter(); };
template <class R>
concept wraps_a_policy = requires(R const& reference) { reference.policy(); };

template <class R, class T>
[[nodiscard]] consteval bool has_llama_inside() {
  using type = std::remove_cvref_t<R>;
  if constexpr (std::same_as<type, llama<T>>) {
    return true;
  } else if constexpr (leaves_an_adapter_out<type>) {
    return has_llama_inside<decltype(std::declval<type const&>().policy_with_adapter()), T>();
  } else if constexpr (wraps_a_policy<type>) {
    return has_llama_inside<decltype(std::declval<type const&>().policy()), T>();
  } else {
    return false;
  }
}

}  // namespace detail

/// A llama<T>, something whose `policy()` gives one, however deep, or a policy without its adapter. Such a reference can be
/// asked for whole distributions.
template <class R, class T>
concept LlamaReference = detail::has_llama_inside<R, T>();

/// What the llama<T> inside of a reference computes with.
template <class T, LlamaReference<T> R>
[[nodiscard]] llama_view<T> llama_of(R const& reference) {
  if constexpr (std::same_as<R, llama<T>>) {
    return reference.view();
  } else if constexpr (detail::leaves_an_adapter_out<R>) {
    llama_view<T> out = llama_of<T>(reference.policy_with_adapter());
    out.adapter = nullptr;
    return out;
  } else {
    return llama_of<T>(reference.policy());
  }
}

/// Errors  precondition_error naming both sizes
inline void expects_same_vocabulary(llama_config const& reference, llama_config const& policy,
                                    char const* where) {
  if (reference.vocabulary == policy.vocabulary) return;
  refuse(std::string(where) + ": the reference has a vocabulary of " +
         std::to_string(reference.vocabulary) + ", expected " + std::to_string(policy.vocabulary));
}

/// What another model's output layer reads of the rows of a layout, for whoever compares distributions with it.
template <std::floating_point T>
class reference_rows {
 public:
  void ask(llama_view<T> const& model, row_layout const& layout, arithmetic<T> const& by) {
    if (!pass_) pass_ = std::make_unique<llama_pass<T>>(model.weights->config);
    pass_->forward(model, layout, by, kept::nothing);
    auto const hidden = pass_->hidden();
    hidden_.assign(hidden.begin(), hidden.end());
    output_ = model.weights->output;
  }
  void forget() { hidden_.clear(); }
  [[nodiscard]] bool empty() const { return hidden_.empty(); }
  [[nodiscard]] output_layer<T> layer() const { return {hidden_, output_}; }

 private:
  std::unique_ptr<llama_pass<T>> pass_;
  std::vector<T> hidden_;
  weight_matrix<T> output_;
};

}  // namespace prefer::inline v0_1::lm
