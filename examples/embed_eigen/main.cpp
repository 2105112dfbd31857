// SPDX-License-Identifier: MIT
//
// prefer in a program of Eigen's matrices: a linear softmax policy, trained by Adam, both written with Eigen. What prefer
// adds is one call between the forward and the backward pass.
#include <Eigen/Core>
#include <cstdio>

#include <prefer/adapters/eigen.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/objective/evaluate.hpp>

namespace {

constexpr Eigen::Index pairs = 400, features = 12, items = 30;

/// What your program would read: which of two items was preferred in which situation.
struct preferences {
  Eigen::MatrixXf situation = Eigen::MatrixXf::Random(pairs, features);  // [pairs, features]
  Eigen::VectorXi chosen{pairs}, rejected{pairs};

  preferences() {
    Eigen::MatrixXf const taste = situation * Eigen::MatrixXf::Random(features, items);
    for (Eigen::Index i = 0; i < pairs; ++i) {
      taste.row(i).maxCoeff(&chosen[i]);
      taste.row(i).minCoeff(&rejected[i]);
    }
  }
};

/// Log-probabilities of all items in each situation. [pairs, items]
Eigen::MatrixXf log_softmax(Eigen::MatrixXf const& logits) {
  Eigen::VectorXf const highest = logits.rowwise().maxCoeff();
  Eigen::ArrayXXf const shifted = (logits.colwise() - highest).array();
  Eigen::ArrayXf const log_sum = shifted.exp().rowwise().sum().log();
  return (shifted.colwise() - log_sum).matrix();
}

Eigen::VectorXf picked(Eigen::MatrixXf const& log_prob, Eigen::VectorXi const& item) {
  Eigen::VectorXf out(item.size());
  for (Eigen::Index i = 0; i < item.size(); ++i) out[i] = log_prob(i, item[i]);
  return out;
}

}  // namespace

int main() {
  preferences const data;
  Eigen::MatrixXf weights = Eigen::MatrixXf::Zero(features, items);
  Eigen::ArrayXXf first = weights.array(), second = weights.array();  // Adam's moments
  Eigen::MatrixXf const before = log_softmax(data.situation * weights);
  Eigen::VectorXf const reference_chosen = picked(before, data.chosen);
  Eigen::VectorXf const reference_rejected = picked(before, data.rejected);
  Eigen::MatrixXf coefficient(pairs, 2);

  for (int step = 1; step <= 201; ++step) {
    Eigen::MatrixXf const log_prob = log_softmax(data.situation * weights);
    Eigen::VectorXf const chosen = picked(log_prob, data.chosen);
    Eigen::VectorXf const rejected = picked(log_prob, data.rejected);
    double const loss = prefer::evaluate_into(
        prefer::dpo{.beta = 0.1, .label_smoothing = 0.05},
        prefer::pair_columns{.policy = {chosen, rejected},
                             .reference = {reference_chosen, reference_rejected}},
        prefer::pair_results{.chosen = coefficient.col(0), .rejected = coefficient.col(1)});
    if (step % 50 == 1) std::printf("step %3d  loss %.4f\n", step - 1, loss);

    // d log_prob / d logits is 1 for the item, less the probability of each.
    Eigen::VectorXf const both = coefficient.rowwise().sum();
    Eigen::MatrixXf slope = -(log_prob.array().exp().colwise() * both.array()).matrix();
    for (Eigen::Index i = 0; i < pairs; ++i) {
      slope(i, data.chosen[i]) += coefficient(i, 0);
      slope(i, data.rejected[i]) += coefficient(i, 1);
    }
    Eigen::ArrayXXf const gradient = (data.situation.transpose() * slope).array();
    first = 0.9f * first + 0.1f * gradient;
    second = 0.99f * second + 0.01f * gradient.square();
    weights.array() -= 0.1f * first / (second.sqrt() + 1e-8f);
  }
}
