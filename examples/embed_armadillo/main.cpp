// SPDX-License-Identifier: MIT
//
// prefer in a program of Armadillo's matrices: a softmax policy for each reader, trained by gradient descent, both written
// with Armadillo. What prefer adds is one call between the forward and the backward pass.
#include <armadillo>
#include <cstdio>

#include <prefer/adapters/armadillo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/objective/evaluate.hpp>

namespace {

constexpr arma::uword readers = 40, items = 25, pairs = 400;

/// What your program would read: which of two items each reader preferred.
struct preferences {
  arma::uvec reader = arma::regspace<arma::uvec>(0, pairs - 1);
  arma::umat item = arma::umat(2, pairs);  // chosen above rejected

  preferences() {
    reader.transform([](arma::uword i) { return i % readers; });
    for (arma::uword i = 0; i < pairs; ++i) {
      item(0, i) = 7 * reader(i) % items;
      item(1, i) = (item(0, i) + 1 + i / readers) % items;
    }
  }
};

/// Log-probabilities of all items for each reader. [items, readers]
arma::fmat log_softmax(arma::fmat const& logits) {
  return logits.each_row() - arma::log(arma::sum(arma::exp(logits), 0));
}

/// The log-probability of both items of each pair. [2, pairs]
arma::fmat picked(arma::fmat const& log_prob, preferences const& data) {
  arma::fmat out(2, pairs);
  for (arma::uword i = 0; i < pairs; ++i) {
    out(0, i) = log_prob(data.item(0, i), data.reader(i));
    out(1, i) = log_prob(data.item(1, i), data.reader(i));
  }
  return out;
}

}  // namespace

int main() {
  preferences const data;
  arma::fmat logits(items, readers, arma::fill::zeros);
  arma::fmat const reference = picked(log_softmax(logits), data);
  arma::fmat coefficient(2, pairs);

  for (int step = 0; step <= 200; ++step) {
    arma::fmat const log_prob = log_softmax(logits);
    arma::fmat const policy = picked(log_prob, data);
    double const loss = prefer::evaluate_into(
        prefer::hinge{.beta = 0.2},
        prefer::pair_columns{.policy = {policy.row(0), policy.row(1)},
                             .reference = {reference.row(0), reference.row(1)}},
        prefer::pair_results{.chosen = coefficient.row(0), .rejected = coefficient.row(1)});
    if (step % 50 == 0) std::printf("step %3d  loss %.4f\n", step, loss);

    // d log_prob / d logits is 1 for the item, less the probability of each.
    arma::fmat gradient(items, readers, arma::fill::zeros);
    for (arma::uword i = 0; i < pairs; ++i) {
      arma::uword const reader = data.reader(i);
      gradient.col(reader) -= arma::accu(coefficient.col(i)) * arma::exp(log_prob.col(reader));
      gradient(data.item(0, i), reader) += coefficient(0, i);
      gradient(data.item(1, i), reader) += coefficient(1, i);
    }
    logits -= 8.0f * gradient;
  }
}
