// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>  // clang wants it whole
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <prefer/adapters/torch/column.hpp>
#include <prefer/expects.hpp>

// How the derivatives of a loss enter torch's graph.

namespace prefer::inline v0_1::detail {

template <class Node>
[[nodiscard]] bool has_hooks(Node const& node) {
  if constexpr (requires { node.tensor_pre_hooks(); }) {
    if (!node.tensor_pre_hooks().empty()) return true;
  }
  return !node.pre_hooks().empty() || !node.post_hooks().empty();
}
template <class Tensor>
[[nodiscard]] bool is_watched(Tensor const& leaf) {
  using namespace ::torch::autograd::impl;  // where later versions have hooks of a third kind
  if constexpr (requires { post_acc_grad_hooks(leaf); }) {
    if (post_acc_grad_hooks(leaf) != nullptr) return true;
  }
  if (!hooks(leaf).empty()) return true;
  auto const accumulator = try_get_grad_accumulator(leaf);
  return accumulator != nullptr && has_hooks(*accumulator);
}

/// Derivatives that are known, by the tensors that ask for them.
class torch_gradient {
 public:
  [[nodiscard]] static bool asked_of(torch::column const& column) {
    return column.present() && column.tensor().requires_grad() && at::GradMode::is_enabled();
  }
  /// Room for the derivative by `column`: of 16 bits in float, because derivatives of a mean are small, and half has no small
  /// numbers before they are multiplied by what comes back through the graph.
  at::Tensor const& add(at::Tensor const& column) {
    auto const type = column.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    by_.push_back(column);
    coefficient_.push_back(
        at::empty({column.numel()}, at::TensorOptions(column.device()).dtype(type)));
    return coefficient_.back();
  }

  [[nodiscard]] bool empty() const { return by_.empty(); }
  [[nodiscard]] std::vector<at::Tensor> const& by() const { return by_; }
  /// Empty when `go_back` has freed them.
  [[nodiscard]] std::vector<at::Tensor> const& coefficients() const {
    expect_kept();
    return coefficient_;
  }
  /// Adds them to the gradients of what is before the columns: torch's graph is entered there.
  void go_back(bool retain) {
    expect_kept();
    std::vector<at::Tensor> columns, derivatives;
    for (std::size_t i = 0; i != by_.size(); ++i) {
      at::Tensor derivative = retain ? coefficient_[i] : std::move(coefficient_[i]);
      if (derivative.scalar_type() != by_[i].scalar_type())
        derivative = derivative.to(by_[i].scalar_type());
      if (is_first_of_leaf(by_[i])) {
        bool const only_here = derivative.use_count() == 1 && derivative.storage().use_count() == 1;
        by_[i].mutable_grad() = only_here ? std::move(derivative) : derivative.clone();
      } else {
        columns.push_back(by_[i]);
        derivatives.push_back(std::move(derivative));
      }
    }
    if (!retain) coefficient_.clear();
    if (!columns.empty()) ::torch::autograd::backward(columns, derivatives, retain);
  }

 private:
  void expect_kept() const {
    expects(
        coefficient_.size() == by_.size(),
        "torch: a loss goes back once, and then has its number only, read(): backward(true) keeps "
        "its derivatives");
  }
  /// A leaf's first gradient is these numbers, and where nobody watches it torch's engine would do no more than put them there:
  /// it takes longer to begin than a loss over thousands of pairs.
  [[nodiscard]] static bool is_first_of_leaf(at::Tensor const& column) {
    return column.is_leaf() && !column.grad().defined() && column.is_contiguous() &&
           !is_watched(column);
  }

  std::vector<at::Tensor> by_;
  std::vector<at::Tensor> coefficient_;
};

/// What the node is made of; not a tensor, so that torch does not take it for what is differentiated by.
struct torch_known_value {
  at::Tensor number;
  torch_gradient const* gradient;
};

/// The loss as a node: its derivatives are known before it is made.
struct torch_loss_node : ::torch::autograd::Function<torch_loss_node> {
  static at::Tensor forward(::torch::autograd::AutogradContext* context, at::TensorList by,
                            torch_known_value const& known) {
    context->save_for_backward(known.gradient->coefficients());
    std::vector<std::int64_t> types;
    for (at::Tensor const& each : by)
      types.push_back(static_cast<std::int64_t>(each.scalar_type()));
    context->saved_data["types"] = types;
    return known.number;
  }
  static ::torch::autograd::variable_list backward(
      ::torch::autograd::AutogradContext* context,
      ::torch::autograd::variable_list const& from_behind) {
    expects(!at::GradMode::is_enabled(),
            "torch::loss has no second derivatives (create_graph): use torch::loss_by_autograd");
    auto const types = context->saved_data["types"].toIntVector();
    ::torch::autograd::variable_list out;
    for (at::Tensor const& each : context->get_saved_variables()) {
      auto const type = static_cast<at::ScalarType>(types[out.size()]);
      // Multiplied in the type of the coefficients: what scales a loss against underflow is beyond half's largest number.
      at::Tensor const factor = from_behind.front().to(each.scalar_type());
      out.push_back(at::mul(each, factor).to(type));
    }
    out.emplace_back();  // for `known`
    return out;
  }
};

}  // namespace prefer::inline v0_1::detail
